//! Lines over axes, as SVG text: no script, no library, nothing to load.
//!
//! Colours are names (`tone`), which the style sheet of the page or of the picture gives a value for light and for dark. Every series is
//! named at its end and has its own kind of dot, so nobody needs to tell colours apart.

pub mod heat;
pub mod scale;

use std::fmt::Write;

use super::format::escaped;
use scale::Scale;

/// The colours of plots, for pages and pictures.
pub const STYLE: &str = include_str!("plot/plot.css");

/// Room that a letter of a name takes.
const LETTER_WIDTH: f64 = 7.2;
/// Names nearer than this would touch.
const LINE_HEIGHT: f64 = 15.0;
/// Names of marks stand in rows, so that none covers another.
const MARK_HEIGHT: f64 = 18.0;
pub(super) const LEFT: f64 = 84.0;
const BOTTOM: f64 = 46.0;

/// What a plot shows.
pub struct Plot {
    /// Unique on its page: what refers to parts of it is made from this.
    pub id: &'static str,
    pub title: String,
    /// The same for those who cannot see it.
    pub description: String,
    pub width: f64,
    pub height: f64,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    pub marks: Vec<Mark>,
}

pub struct Axis {
    pub label: String,
    /// Which values; the plot decides where they lie.
    pub scale: Scale,
    pub show: fn(f64) -> String,
    /// Ticks to write instead of round numbers.
    pub ticks: Option<Vec<f64>>,
}

pub struct Series {
    pub name: String,
    /// The class of the colour.
    pub tone: &'static str,
    pub look: Look,
    pub points: Vec<Dot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A line with a dot at each measurement.
    Measured,
    /// The same over a faint area.
    Filled,
    /// A line alone, for many points.
    Curve,
    /// A thin, dashed line: what would be, not what was.
    Ideal,
}

pub struct Dot {
    pub x: f64,
    pub y: f64,
    /// Shown while the pointer rests on it.
    pub hint: String,
}

/// A vertical line with a name at its top.
pub struct Mark {
    pub x: f64,
    pub label: String,
    pub tone: &'static str,
}

/// Where the lines are drawn.
#[derive(Clone, Copy)]
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Plot {
    /// The plot as an `<svg>` element.
    pub fn svg(&self) -> String {
        let area = self.area();
        let x = self.x.scale.over(area.left, area.right);
        let y = self.y.scale.over(area.bottom, area.top);
        let mut svg = format!(
            "<svg class=\"plot\" id=\"{id}\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\n\
             <title id=\"{id}-title\">{}</title><desc id=\"{id}-text\">{}</desc>\n",
            self.width,
            self.height,
            escaped(&self.title),
            escaped(&self.description),
            id = self.id,
        );
        svg.push_str(&self.body(area, &x, &y));
        svg.push_str("</svg>\n");
        svg
    }

    /// What stands inside: axes, marks, lines, names.
    pub fn body_within(&self) -> String {
        let area = self.area();
        self.body(area, &self.x.scale.over(area.left, area.right), &self.y.scale.over(area.bottom, area.top))
    }

    fn body(&self, area: Area, x: &Scale, y: &Scale) -> String {
        let mut svg = String::new();
        self.draw_axes(&mut svg, area, x, y);
        self.draw_marks(&mut svg, area, x);
        for (index, series) in self.series.iter().enumerate() {
            draw_series(&mut svg, series, index, (x, y), area.bottom);
        }
        self.draw_names(&mut svg, area, x, y);
        svg
    }

    fn area(&self) -> Area {
        let top = 14.0 + MARK_HEIGHT * self.marks.len() as f64;
        let longest = self.series.iter().map(|series| series.name.chars().count()).max().unwrap_or(0);
        let right = self.width - 24.0 - longest as f64 * LETTER_WIDTH;
        Area { left: LEFT, right, top, bottom: self.height - BOTTOM }
    }

    fn draw_axes(&self, svg: &mut String, area: Area, x: &Scale, y: &Scale) {
        let Area { left, right, top, bottom } = area;
        svg.push_str("<g class=\"axes\" aria-hidden=\"true\">");
        for tick in self.y.ticks.clone().unwrap_or_else(|| y.ticks(5)) {
            let at = y.at(tick);
            put(svg, format_args!("<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>"));
            put(
                svg,
                format_args!(
                    "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    left - 8.0,
                    at + 4.0,
                    escaped(&(self.y.show)(tick))
                ),
            );
        }
        let mut free_from = f64::NEG_INFINITY;
        for tick in self.x.ticks.clone().unwrap_or_else(|| x.ticks(7)) {
            let (at, text) = (x.at(tick), (self.x.show)(tick));
            put(svg, format_args!("<path class=\"grid short\" d=\"M{at:.1} {bottom:.1}v4\"/>"));
            let half = text.chars().count() as f64 * 3.6 + 4.0;
            if at - half < free_from {
                continue;
            }
            free_from = at + half;
            put(
                svg,
                format_args!(
                    "<text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    bottom + 18.0,
                    escaped(&text)
                ),
            );
        }
        put(svg, format_args!("<path class=\"base\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>"));
        let (middle, height) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        put(
            svg,
            format_args!(
                "<text class=\"axis\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 38.0,
                escaped(&self.x.label)
            ),
        );
        put(
            svg,
            format_args!(
                "<text class=\"axis\" transform=\"translate(13 {height:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                escaped(&self.y.label)
            ),
        );
        svg.push_str("</g>\n");
    }

    fn draw_marks(&self, svg: &mut String, area: Area, x: &Scale) {
        for (row, mark) in (1..).zip(&self.marks) {
            let (at, foot) = (x.at(mark.x), area.top - MARK_HEIGHT * f64::from(row));
            let anchor = if at > area.right - 70.0 {
                "end"
            } else if at < area.left + 70.0 {
                "start"
            } else {
                "middle"
            };
            put(svg, format_args!("<g class=\"mark {}\"><path d=\"M{at:.1} {:.1}V{:.1}\"/>", mark.tone, foot + 8.0, area.bottom));
            put(
                svg,
                format_args!("<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text></g>\n", foot + 2.0, escaped(&mark.label)),
            );
        }
    }

    /// Names beside the last points, pushed apart where lines end together.
    fn draw_names(&self, svg: &mut String, area: Area, x: &Scale, y: &Scale) {
        let ends = self.series.iter().filter_map(|series| Some((series, series.points.last()?)));
        let mut names: Vec<(f64, f64, &Series)> = ends.map(|(series, end)| (y.at(end.y), x.at(end.x), series)).collect();
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let places = spread(&names.iter().map(|name| name.0).collect::<Vec<_>>(), area.top, area.bottom);
        for ((_, end, series), at) in names.into_iter().zip(places) {
            let left = if series.look == Look::Ideal { end } else { area.right };
            put(
                svg,
                format_args!(
                    "<text class=\"name {}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    series.tone,
                    left + 11.0,
                    at + 4.0,
                    escaped(&series.name)
                ),
            );
        }
    }
}

/// Moves places apart to at least a line's height, as little as possible, within bounds.
fn spread(places: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut spread = places.to_vec();
    for index in 1..spread.len() {
        spread[index] = spread[index].max(spread[index - 1] + LINE_HEIGHT);
    }
    let mut floor = bottom;
    for place in spread.iter_mut().rev() {
        *place = place.min(floor).max(top);
        floor = *place - LINE_HEIGHT;
    }
    spread
}

fn draw_series(svg: &mut String, series: &Series, index: usize, (x, y): (&Scale, &Scale), bottom: f64) {
    let points: Vec<(f64, f64)> = series.points.iter().map(|dot| (x.at(dot.x), y.at(dot.y))).collect();
    let look = match series.look {
        Look::Measured | Look::Filled => "measured",
        Look::Curve => "curve",
        Look::Ideal => "ideal",
    };
    let mut line = String::new();
    for (number, (left, top)) in points.iter().enumerate() {
        put(&mut line, format_args!("{}{left:.1} {top:.1}", if number == 0 { 'M' } else { 'L' }));
    }
    put(svg, format_args!("<g class=\"series {look} {}\">", series.tone));
    if let (Look::Filled, Some((first, _))) = (series.look, points.first()) {
        put(svg, format_args!("<path class=\"area\" d=\"{line}V{bottom:.1}H{first:.1}z\"/>"));
    }
    put(svg, format_args!("<path d=\"{line}\"/>"));
    if matches!(series.look, Look::Measured | Look::Filled) {
        for ((left, top), dot) in points.iter().zip(&series.points) {
            put(svg, format_args!("{}<title>{}</title></path>", shape(index, *left, *top), escaped(&dot.hint)));
        }
    }
    svg.push_str("</g>\n");
}

/// Circle, square, triangle, diamond: another for each series.
fn shape(index: usize, x: f64, y: f64) -> String {
    let outline = match index % 4 {
        0 => format!("M{:.1} {y:.1}a3.8 3.8 0 1 0 7.6 0a3.8 3.8 0 1 0 -7.6 0z", x - 3.8),
        1 => format!("M{:.1} {:.1}h6.6v6.6h-6.6z", x - 3.3, y - 3.3),
        2 => format!("M{x:.1} {:.1}l4.3 7.4h-8.6z", y - 4.6),
        _ => format!("M{x:.1} {:.1}l4.4 4.4l-4.4 4.4l-4.4 -4.4z", y - 4.4),
    };
    format!("<path class=\"dot\" d=\"{outline}\">")
}

fn put(svg: &mut String, arguments: std::fmt::Arguments<'_>) {
    svg.write_fmt(arguments).expect("a string takes it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_pushed_apart_and_stay_on_the_paper() {
        for places in [&[10.0, 11.0, 12.0][..], &[95.0, 96.0, 97.0], &[10.0, 50.0, 90.0]] {
            let spread = spread(places, 0.0, 100.0);
            assert!(spread.windows(2).all(|pair| pair[1] - pair[0] >= LINE_HEIGHT - 1e-9), "{spread:?}");
            assert!(spread.iter().all(|place| (0.0..=100.0).contains(place)), "{spread:?}");
        }
        assert_eq!(spread(&[10.0, 50.0, 90.0], 0.0, 100.0), [10.0, 50.0, 90.0]);
    }

    #[test]
    fn text_from_outside_is_text() {
        let axis = || Axis { label: "<x>".into(), scale: Scale::linear([1.0].into_iter()), show: |value| format!("{value}<"), ticks: None };
        let dot = Dot { x: 1.0, y: 1.0, hint: "</title><script>".into() };
        let plot = Plot {
            id: "plot",
            title: "<b>".into(),
            description: "&".into(),
            width: 400.0,
            height: 200.0,
            x: axis(),
            y: axis(),
            series: vec![Series { name: "<i>".into(), tone: "t", look: Look::Measured, points: vec![dot] }],
            marks: vec![Mark { x: 1.0, label: "<u>".into(), tone: "t" }],
        };
        let svg = plot.svg();
        for tag in ["<b>", "<i>", "<u>", "<x>", "<script>", "& "] {
            assert!(!svg.contains(tag), "{tag} in {svg}");
        }
        assert!(svg.contains("&lt;/title&gt;&lt;script&gt;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}

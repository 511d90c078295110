//! Where more load begins to cost more than it brings.

use serde::{Deserialize, Serialize};

/// One measured rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Offered requests per second.
    pub rate: f64,
    /// Good answers per second.
    pub goodput: f64,
    /// Latency in seconds; none if nothing was answered.
    pub latency: Option<f64>,
}

/// A rate beyond the limit is at least so many times it: the limit itself is measured again and again, each time a little differently.
const BEYOND: f64 = 1.01;

/// The rate at which goodput divided by latency, Kleinrock's power, is highest: below it load is cheap, above it each further request
/// mostly waits. None without answers, and none where nothing was measured beyond `limit`: what was not driven into its knee has not
/// shown it.
pub fn knee(points: &[Point], limit: f64) -> Option<Point> {
    points.iter().find(|point| point.rate > limit * BEYOND)?;
    let power = |point: &Point| point.latency.filter(|latency| *latency > 0.0).map(|latency| point.goodput / latency);
    let with_power = points.iter().filter_map(|point| Some((*point, power(point)?)));
    with_power.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(point, _)| point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_mm1_queue_it_is_half_the_capacity() {
        let capacity = 1_000.0;
        let point = |rate: f64| Point { rate, goodput: rate, latency: Some(1.0 / (capacity - rate)) };
        let points: Vec<_> = (1..20).map(|step| point(f64::from(step) * 50.0)).collect();
        assert!((knee(&points, 900.0).unwrap().rate - 500.0).abs() < 1.0);
    }

    #[test]
    fn of_a_server_that_never_queues_it_is_the_end_of_the_line() {
        let point = |rate: f64| Point { rate, goodput: rate.min(400.0), latency: Some(if rate > 400.0 { 5.0 } else { 0.01 }) };
        let points = [point(100.0), point(200.0), point(400.0), point(800.0)];
        assert!((knee(&points, 400.0).unwrap().rate - 400.0).abs() < 1.0);
        assert_eq!(knee(&[Point { rate: 1.0, goodput: 0.0, latency: None }], 0.5), None);
        assert_eq!(knee(&points[..3], 400.0), None, "nothing was measured beyond it");
    }
}

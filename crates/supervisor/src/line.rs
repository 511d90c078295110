//! Cuts a stream of bytes into lines that are short, valid and safe to print, in bounded memory.

/// Longer lines are cut; the rest up to the next line break is thrown away.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1024;
/// Stands at the end of a line that was cut.
const CUT: &str = " … [cut]";
const COLOUR_RESET: &str = "\u{1b}[0m";

#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
    /// The pending line was already handed out, cut: skip to its end.
    skipping: bool,
}

impl Lines {
    /// Takes bytes off the front until a line is complete; call it until it returns `None`.
    pub(crate) fn next_line(&mut self, bytes: &mut &[u8]) -> Option<String> {
        while !bytes.is_empty() {
            let line_end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..line_end.unwrap_or(bytes.len())];
            if self.skipping {
                self.skipping = line_end.is_none();
                *bytes = &bytes[(part.len() + 1).min(bytes.len())..];
                continue;
            }
            let room = LINE_BYTES_MAX - self.pending.len();
            if part.len() > room {
                self.pending.extend_from_slice(&part[..room]);
                *bytes = &bytes[room..];
                self.skipping = true;
                return Some(self.take(CUT));
            }
            self.pending.extend_from_slice(part);
            *bytes = &bytes[(part.len() + 1).min(bytes.len())..];
            if line_end.is_some() {
                return Some(self.take(""));
            }
        }
        None
    }

    /// What stands after the last line break when the stream ends.
    pub(crate) fn finish(&mut self) -> Option<String> {
        (!self.pending.is_empty()).then(|| self.take(""))
    }

    fn take(&mut self, mark: &str) -> String {
        let line = self.pending.strip_suffix(b"\r").unwrap_or(&self.pending);
        let text = printable(&String::from_utf8_lossy(line), mark);
        self.pending.clear();
        text
    }
}

/// Keeps text, tabs and colours. Any other control character becomes a picture of itself, so that a line can neither move the cursor
/// nor retitle the terminal, and nothing is hidden from the reader. Colours end with the line.
fn printable(text: &str, mark: &str) -> String {
    let mut printable = String::with_capacity(text.len() + mark.len());
    let mut coloured = false;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(length) = colour_length(rest) {
            coloured = !matches!(&rest[..length], COLOUR_RESET | "\u{1b}[m");
            printable.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        printable.push(visible(character));
        rest = &rest[character.len_utf8()..];
    }
    printable.push_str(mark);
    if coloured {
        printable.push_str(COLOUR_RESET);
    }
    printable
}

/// The length of the colour sequence (`ESC [ … m`) that the text starts with.
fn colour_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|character: char| !matches!(character, '0'..='9' | ';' | ':'))?;
    parameters[end..].starts_with('m').then_some("\u{1b}[".len() + end + 1)
}

fn visible(character: char) -> char {
    match character {
        '\t' => '\t',
        '\u{7f}' => '\u{2421}',
        control @ '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(control)).expect("control pictures cover all of C0"),
        '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = Lines::default();
        let mut lines = Vec::new();
        for mut chunk in chunks.iter().copied() {
            while let Some(line) = splitter.next_line(&mut chunk) {
                lines.push(line);
            }
            assert!(splitter.pending.len() <= LINE_BYTES_MAX);
        }
        lines.extend(splitter.finish());
        lines
    }

    #[test]
    fn cuts_at_line_breaks_wherever_the_chunks_end() {
        assert_eq!(lines(&[b"one\ntw", b"o\r\n", b"\nthr", b"ee"]), ["one", "two", "", "three"]);
        assert!(lines(&[b""]).is_empty());
    }

    #[test]
    fn an_endless_line_is_cut_once_and_the_next_one_is_whole() {
        let long = vec![b'x'; 3 * LINE_BYTES_MAX];
        let cut = lines(&[&long, &long, b"tail\nnext\n"]);
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[0].len(), LINE_BYTES_MAX + CUT.len());
        assert!(cut[0].ends_with(CUT));
        assert_eq!(cut[1], "next");
        let fits = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(lines(&[&fits, b"\nnext"])[0].len(), LINE_BYTES_MAX);
    }

    #[test]
    fn broken_utf8_is_replaced() {
        assert_eq!(lines(&[b"caf\xc3\xa9 \xff!\n"]), ["café \u{fffd}!"]);
    }

    #[test]
    fn colours_stay_and_end_with_the_line() {
        assert_eq!(lines(&[b"\x1b[32mINFO\x1b[0m ok\n"]), ["\u{1b}[32mINFO\u{1b}[0m ok"]);
        assert_eq!(lines(&[b"\x1b[1;31mred\n"]), ["\u{1b}[1;31mred\u{1b}[0m"]);
    }

    #[test]
    fn other_controls_are_shown_not_obeyed() {
        assert_eq!(lines(&[b"\x1b[2J\x1b]0;title\x07a\rb\tc\x7f\n"]), ["␛[2J␛]0;title␇a␍b\tc␡"]);
        assert_eq!(lines(&["\u{9b}2J\n".as_bytes()]), ["\u{fffd}2J"]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_bounded_lines_without_controls(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..8)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            for line in lines(&chunks) {
                let colourless = line.replace('\u{1b}', "");
                prop_assert!(!colourless.chars().any(|character| character.is_control() && character != '\t'), "{line:?}");
            }
        }
    }
}

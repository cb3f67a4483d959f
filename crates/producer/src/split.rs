//! Splits an input into records by its bytes alone: lines, elements of arrays and of
//! `{"Records":[…]}`, and pretty-printed objects. Whether a record is an event is judged later.
//!
//! What is broken is handed out alone when its end can be found. In lines that is the line. In
//! an array, brackets and strings are followed; a closing bracket closes up to its nearest
//! opener, and a line feed inside a string (never valid JSON) ends the string, so that the next
//! line beginning with `{` is read as the next element.

use std::io::{self, Read};

use trail::limits::INPUT_RECORD_BYTES_MAX;

/// How much is read at once.
const READ_BYTES: usize = 256 << 10;
/// How far `{ "Records" : [` may be stretched by white space.
const CONTAINER_HEAD_BYTES: usize = 4096;

/// A piece of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Line on which it begins, from 1.
    pub(crate) line: u64,
    /// Its bytes without surrounding white space.
    pub(crate) bytes: Vec<u8>,
    /// Why it cannot be a whole record, when that is known already.
    pub(crate) fault: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// Before an element; `after_comma` when one must follow.
    Array {
        container: bool,
        after_comma: bool,
    },
    ContainerEnd,
    Done,
}

/// How objects at the top level are laid out; decided by the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Unknown,
    Lines,
    Pretty,
}

/// An iterator over the pieces of one input.
pub(crate) struct Splitter<R> {
    source: R,
    buf: Vec<u8>,
    /// Where the unread bytes begin in `buf`.
    pos: usize,
    line: u64,
    place: Place,
    layout: Layout,
    begun: bool,
    /// No more bytes come, and why when that is not the end of the input.
    ended: bool,
    failure: Option<String>,
    limit: usize,
}

impl<R: Read> Splitter<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buf: Vec::new(),
            pos: 0,
            line: 1,
            place: Place::Top,
            layout: Layout::Unknown,
            begun: false,
            ended: false,
            failure: None,
            limit: INPUT_RECORD_BYTES_MAX,
        }
    }

    /// Whether the next piece needs bytes that are not read yet.
    pub(crate) fn is_drained(&self) -> bool {
        self.buf[self.pos..].iter().all(u8::is_ascii_whitespace)
    }

    fn rest(&self) -> &[u8] {
        &self.buf[self.pos..]
    }

    /// Reads more; false when there is no more. A record beyond the limit counts as a failure.
    fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        if self.rest().len() > self.limit {
            let bound = self.limit;
            return self.fail(&format!("a record of more than {bound} bytes is no event"));
        }
        self.buf.drain(..self.pos);
        self.pos = 0;
        let len = self.buf.len();
        self.buf.resize(len + READ_BYTES, 0);
        let read = loop {
            match self.source.read(&mut self.buf[len..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buf.truncate(len + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                self.ended = true;
                false
            }
            Ok(_) => true,
            Err(e) => self.fail(&e.to_string()),
        }
    }

    fn fail(&mut self, why: &str) -> bool {
        self.ended = true;
        self.failure = Some(format!("the rest of this input could not be read: {why}"));
        false
    }

    /// The unread byte at `at`, reading as needed.
    fn byte(&mut self, at: usize) -> Option<u8> {
        while self.pos + at >= self.buf.len() {
            if !self.fill() {
                return None;
            }
        }
        Some(self.buf[self.pos + at])
    }

    fn skip(&mut self, n: usize) {
        let skipped = &self.buf[self.pos..self.pos + n];
        self.line += skipped.iter().filter(|b| **b == b'\n').count() as u64;
        self.pos += n;
    }

    /// The first unread byte after white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let rest = self.rest();
            let spaces = rest.iter().position(|b| !is_space(*b)).unwrap_or(rest.len());
            self.skip(spaces);
            if let Some(b) = self.rest().first() {
                return Some(*b);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Takes `len` unread bytes as a piece and skips `more` after them.
    fn take(&mut self, len: usize, more: usize, fault: Option<String>) -> Piece {
        let (line, bytes) = (self.line, self.rest()[..len].trim_ascii_end().to_vec());
        self.skip(len + more);
        Piece { line, bytes, fault }
    }

    /// Takes a line of `len` bytes. It holds no line feed, so none need be counted.
    fn take_whole_line(&mut self, len: usize, fault: Option<String>) -> Piece {
        let (line, bytes) = (self.line, self.rest()[..len].trim_ascii_end().to_vec());
        self.pos += len;
        Piece { line, bytes, fault }
    }

    /// Takes all unread bytes as the last piece.
    fn take_rest(&mut self, ends_in: &str) -> Piece {
        self.place = Place::Done;
        let fault = self.failure.take().unwrap_or_else(|| format!("the input ends in {ends_in}"));
        self.take(self.rest().len(), 0, Some(fault))
    }

    /// Length of the line that begins here, without its line feed.
    fn line_length(&mut self) -> usize {
        let mut seen = 0;
        loop {
            if let Some(n) = find_line_feed(&self.rest()[seen..]) {
                return seen + n;
            }
            seen = self.rest().len();
            if !self.fill() {
                return seen;
            }
        }
    }

    fn take_line(&mut self, fault: Option<&str>) -> Piece {
        let len = self.line_length();
        if self.ended && self.failure.is_some() && self.rest().len() == len {
            return self.take_rest("");
        }
        self.take_whole_line(len, fault.map(str::to_owned))
    }

    /// What follows at the top level, `first` being its first byte; None: go on.
    fn top(&mut self, first: u8) -> Option<Piece> {
        match first {
            b'{' => {
                if let Some(head) = self.container_head() {
                    self.skip(head);
                    self.place = Place::Array { container: true, after_comma: false };
                    return None;
                }
                if self.layout == Layout::Unknown {
                    self.layout = self.judge_layout();
                }
                if self.layout == Layout::Lines {
                    return Some(self.take_line(None));
                }
                let (mut nesting, mut at) = (Nesting::default(), 0);
                while let Some(b) = self.byte(at) {
                    if nesting.step(b) == Step::Restart {
                        return Some(self.take(at, 0, None));
                    }
                    at += 1;
                    if nesting.open.is_empty() {
                        return Some(self.take(at, 0, None));
                    }
                }
                Some(self.take_rest("the middle of an object"))
            }
            b'[' if self.layout == Layout::Unknown => {
                self.skip(1);
                self.place = Place::Array { container: false, after_comma: false };
                None
            }
            _ => Some(self.take_line(None)),
        }
    }

    /// Length of `{"Records":[`, white space allowed, if that begins here.
    fn container_head(&mut self) -> Option<usize> {
        let mut at = 0;
        for token in [&b"{"[..], b"\"Records\"", b":", b"["] {
            while at < CONTAINER_HEAD_BYTES && is_space(self.byte(at)?) {
                at += 1;
            }
            for expected in token {
                if self.byte(at)? != *expected {
                    return None;
                }
                at += 1;
            }
        }
        Some(at)
    }

    /// Whether the object that begins here is one of many lines, or itself printed on several:
    /// then its first line ends where JSON may break, and a member or an end follows.
    fn judge_layout(&mut self) -> Layout {
        let len = self.line_length();
        let line = self.rest()[..len].trim_ascii_end();
        let mut nesting = Nesting::default();
        for b in line {
            if nesting.step(*b) == Step::Inside && nesting.open.is_empty() {
                return Layout::Lines;
            }
        }
        if nesting.in_string || !matches!(line.last(), Some(b'{' | b'[' | b',' | b':')) {
            return Layout::Lines;
        }
        let mut at = len;
        while self.byte(at).is_some_and(is_space) {
            at += 1;
        }
        match self.byte(at) {
            Some(b'"' | b'}' | b']') => Layout::Pretty,
            _ => Layout::Lines,
        }
    }

    /// The next element of the array that we are in; None: its end, go on.
    fn element(&mut self, container: bool, after_comma: bool) -> Option<Piece> {
        let end = if container { Place::ContainerEnd } else { Place::Top };
        match self.peek() {
            None => return Some(self.take_rest("the middle of an array")),
            Some(b']') if !after_comma => {
                self.skip(1);
                self.place = end;
                return None;
            }
            Some(_) => {}
        }
        let (mut nesting, mut at) = (Nesting::default(), 0);
        loop {
            let (steps, step) = nesting.steps(&self.rest()[at..]);
            at += steps;
            let after_comma = step == Step::Comma;
            match step {
                Step::Inside if self.fill() => {}
                Step::Inside => return Some(self.take_rest("the middle of an array")),
                Step::Comma | Step::Restart => {
                    self.place = Place::Array { container, after_comma };
                    return Some(self.take(at, usize::from(after_comma), None));
                }
                Step::ArrayEnd => {
                    self.place = end;
                    return Some(self.take(at, 1, None));
                }
            }
        }
    }
}

impl<R: Read> Iterator for Splitter<R> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if !self.begun {
            self.begun = true;
            if (0..3).map_while(|i| self.byte(i)).eq([0xef, 0xbb, 0xbf]) {
                self.skip(3);
            }
        }
        loop {
            let piece = match self.place {
                Place::Done => return None,
                Place::Array { container, after_comma } => self.element(container, after_comma),
                Place::ContainerEnd => {
                    self.place = Place::Top;
                    match self.peek() {
                        Some(b'}') => {
                            self.skip(1);
                            None
                        }
                        None => Some(self.take_rest("the middle of an object")),
                        Some(_) => Some(self.take_line(Some("expected } after the records"))),
                    }
                }
                Place::Top => match self.peek() {
                    Some(b) => self.top(b),
                    None if self.failure.is_some() => Some(self.take_rest("")),
                    None => {
                        self.place = Place::Done;
                        None
                    }
                },
            };
            if piece.is_some() {
                return piece;
            }
        }
    }
}

/// `contains` is a fast search, `position` is not; a line is long compared to a block.
fn find_line_feed(bytes: &[u8]) -> Option<usize> {
    let block = bytes.chunks(128).position(|block| block.contains(&b'\n'))?;
    let rest = &bytes[block * 128..];
    rest.iter().position(|b| *b == b'\n').map(|n| block * 128 + n)
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The byte belongs to the element.
    Inside,
    /// The byte separates it from the next.
    Comma,
    /// The byte ends the array that it is in.
    ArrayEnd,
    /// The byte begins the next element, after a broken one.
    Restart,
}

/// Where in a value's brackets and strings we are.
#[derive(Default)]
struct Nesting {
    open: Vec<u8>,
    in_string: bool,
    escaped: bool,
    broken: bool,
    fresh_line: bool,
}

impl Nesting {
    /// Steps through `bytes` as far as they belong to the element: how many those are, and what
    /// the next one is.
    fn steps(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string && !self.escaped {
                let plain = bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\' | b'\n'));
                at += plain.unwrap_or(bytes.len() - at);
                if at == bytes.len() {
                    break;
                }
            }
            let step = self.step(bytes[at]);
            if step != Step::Inside {
                return (at, step);
            }
            at += 1;
        }
        (at, Step::Inside)
    }

    fn step(&mut self, b: u8) -> Step {
        if self.in_string {
            match b {
                b'\n' => (self.in_string, self.broken, self.fresh_line) = (false, true, true),
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Step::Inside;
        }
        match b {
            b'\n' => self.fresh_line = true,
            b' ' | b'\t' | b'\r' => {}
            b'{' if self.broken && self.fresh_line => return Step::Restart,
            b'{' | b'[' => self.open.push(b),
            b',' if self.open.is_empty() => return Step::Comma,
            b'}' | b']' => {
                let opener = if b == b'}' { b'{' } else { b'[' };
                match self.open.iter().rposition(|o| *o == opener) {
                    Some(at) => {
                        self.broken |= at + 1 != self.open.len();
                        self.open.truncate(at);
                    }
                    None if b == b']' => return Step::ArrayEnd,
                    None => self.broken = true,
                }
            }
            b'"' => (self.in_string, self.escaped) = (true, false),
            _ => {}
        }
        self.fresh_line &= is_space(b);
        Step::Inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line, bytes and whether it is faulty, of every piece; read in steps of `step` bytes.
    fn split(input: &[u8], step: usize) -> Vec<(u64, String, bool)> {
        struct Steps<'a>(&'a [u8], usize);
        impl Read for Steps<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let n = self.1.min(buf.len()).min(self.0.len());
                self.0.read(&mut buf[..n])
            }
        }
        Splitter::new(Steps(input, step))
            .map(|p| (p.line, String::from_utf8_lossy(&p.bytes).into_owned(), p.fault.is_some()))
            .collect()
    }

    fn check(input: &str, expected: &[(u64, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(line, s)| (*line, (*s).to_owned(), false)).collect();
        for step in [1, 3, 1 << 20] {
            assert_eq!(split(input.as_bytes(), step), expected, "{input:?} by {step}");
        }
    }

    #[test]
    fn lines() {
        check("", &[]);
        check(" \n\r\n", &[]);
        check("\u{feff}{\"a\":1}\r\n\n  {\"b\":2} ", &[(1, "{\"a\":1}"), (3, "{\"b\":2}")]);
        check(
            "{\"a\":1}\n{\"b\":\n{\"c\":3}\n",
            &[(1, "{\"a\":1}"), (2, "{\"b\":"), (3, "{\"c\":3}")],
        );
        check("{\"a\":\n{\"c\":3}\n", &[(1, "{\"a\":"), (2, "{\"c\":3}")]);
        check("{\"a\n{\"c\":3}\n", &[(1, "{\"a"), (2, "{\"c\":3}")]);
        check("nonsense\n{\"c\":3}\n[1]\n", &[(1, "nonsense"), (2, "{\"c\":3}"), (3, "[1]")]);
        check("{\"a\":1}{\"b\":2}\n", &[(1, "{\"a\":1}{\"b\":2}")]);
    }

    #[test]
    fn arrays_and_containers() {
        check("[]", &[]);
        check(
            "[{\"a\":\"],{}\\\"\"} ,\n {\"b\":[1,{}]}]",
            &[(1, "{\"a\":\"],{}\\\"\"}"), (2, "{\"b\":[1,{}]}")],
        );
        check("{ \"Records\" :\n[\n{\"a\":1},\n2]\n}\n", &[(3, "{\"a\":1}"), (4, "2")]);
        check("{\"Records\":[1]}{\"Records\":[2]}\n{\"Records\":[]}", &[(1, "1"), (1, "2")]);
        check("[1][2]\n{\"a\":1}", &[(1, "1"), (1, "2"), (2, "{\"a\":1}")]);
        check("[1,,2,]", &[(1, "1"), (1, ""), (1, "2"), (1, "")]);
        check("{\"a\":1}\n{\"Records\":[7]}\n", &[(1, "{\"a\":1}"), (2, "7")]);
    }

    #[test]
    fn pretty_printed_objects() {
        check(
            "{\n  \"a\": {\n},\n \"b\":[\n]}\n{\n \"c\": 1\n}",
            &[(1, "{\n  \"a\": {\n},\n \"b\":[\n]}"), (6, "{\n \"c\": 1\n}")],
        );
        check("{ \"a\": 1,\n\"b\": 2 }", &[(1, "{ \"a\": 1,\n\"b\": 2 }")]);
    }

    #[test]
    fn a_broken_element_is_alone_when_its_end_can_be_found() {
        check("[{\"a\":[1},{\"b\":2}]", &[(1, "{\"a\":[1}"), (1, "{\"b\":2}")]);
        check("[nonsense,{\"b\":2}]", &[(1, "nonsense"), (1, "{\"b\":2}")]);
        check(
            "[{\"a\":\"x},\n{\"b\":2},\n{\"c\":3}]",
            &[(1, "{\"a\":\"x},"), (2, "{\"b\":2}"), (3, "{\"c\":3}")],
        );
        check("[{\"a\":1]\n{\"b\":2}", &[(1, "{\"a\":1"), (2, "{\"b\":2}")]);
    }

    #[test]
    fn what_ends_too_early_is_one_faulty_piece() {
        let faulty = |line, s: &str| (line, s.to_owned(), true);
        let good = |line, s: &str| (line, s.to_owned(), false);
        assert_eq!(split(b"[1,\n{\"a\"", 2), [good(1, "1"), faulty(2, "{\"a\"")]);
        assert_eq!(split(b"[1", 2), [faulty(1, "1")]);
        assert_eq!(split(b"[", 2), [faulty(1, "")]);
        assert_eq!(split(b"{\"Records\":[1]", 2), [good(1, "1"), faulty(1, "")]);
        assert_eq!(split(b"{\n\"a\":1\n", 2), [faulty(1, "{\n\"a\":1")]);
        let after = split(b"{\"Records\":[1],\"x\":2}\n{\"Records\":[3]}", 2);
        assert_eq!(after, [good(1, "1"), faulty(1, ",\"x\":2}"), good(2, "3")]);
    }

    #[test]
    fn a_failing_source_and_an_endless_record_end_the_input_with_one_piece() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk on fire"))
            }
        }
        for (head, pieces) in [("{\"a\":1}\n{\"b\"", 2), ("{\"a\":1}\n", 2), ("[1,", 2), ("", 1)] {
            let all: Vec<_> = Splitter::new(head.as_bytes().chain(Fails)).collect();
            assert_eq!(all.len(), pieces, "{head:?}: {all:?}");
            let fault = all.last().unwrap().fault.clone().unwrap();
            assert!(fault.contains("disk on fire"), "{fault}");
        }
        for head in ["{\"a\":\"", "[\"", "{\"Records\":[", "x"] {
            let mut splitter = Splitter::new(head.as_bytes().chain(io::repeat(b'y')));
            splitter.limit = 1 << 20;
            let all: Vec<_> = splitter.collect();
            assert_eq!(all.len(), 1, "{head:?}");
            assert!(all[0].fault.as_ref().unwrap().contains("1048576"));
            assert!(all[0].bytes.len() < 2 << 20);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic_or_hang(input in "[\\[\\]{}\",:a\\\\\n ]{0,60}", step in 1usize..9) {
            let pieces = split(input.as_bytes(), step);
            proptest::prop_assert!(pieces.len() <= input.len() + 1);
            proptest::prop_assert_eq!(pieces, split(input.as_bytes(), 1 << 20));
        }
    }
}

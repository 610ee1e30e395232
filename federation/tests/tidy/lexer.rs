//! As much of Rust's lexical grammar as the checkers need: comments and literals are blanked, and
//! names are listed with the path they start. It does not parse.

/// A name in code that starts a path or stands alone: `head` of `head::tail` and of `head::{..}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub text: &'a str,
    /// Counted from 1.
    pub line: usize,
    /// The keyword or name right before it, if only blanks lie between.
    pub after: Option<&'a str>,
    /// What follows a `::` after the name; `None` where no `::` follows.
    pub tail: Option<&'a str>,
}

/// The text with every comment and the inside of every literal replaced by blanks. Lines stay.
pub(crate) fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = blank_until(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            let blanked = chars[at..end.min(chars.len())].iter();
            code.extend(blanked.map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Every name that is not itself inside a path.
pub(crate) fn names(code: &str) -> Vec<Name<'_>> {
    let mut found: Vec<Name<'_>> = Vec::new();
    let mut previous: Option<(usize, &str)> = None;
    let mut rest = 0;
    while let Some(start) = code[rest..].find(is_name_char).map(|offset| rest + offset) {
        let end = code[start..].find(|c| !is_name_char(c)).map_or(code.len(), |n| start + n);
        let text = &code[start..end];
        let before = code[..start].trim_end();
        let inside_path =
            before.ends_with("::") && before.trim_end_matches("::").ends_with(is_name_char);
        if !inside_path {
            let after = previous
                .filter(|&(previous_end, _)| code[previous_end..start].trim().is_empty())
                .map(|(_, name)| name);
            let tail = code[end..].trim_start().strip_prefix("::").map(str::trim_start);
            let line = code[..start].matches('\n').count() + 1;
            found.push(Name { text, line, after, tail });
        }
        previous = Some((end, text));
        rest = end;
    }
    found
}

/// The first names of a path's tail: one for `a::b`, several for `{a, b::c}`.
pub(crate) fn heads(tail: &str) -> Vec<&str> {
    let Some(group) = tail.strip_prefix('{') else {
        return vec![first_name(tail)];
    };
    let mut heads = Vec::new();
    let (mut depth, mut item) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(first_name(group[item..at].trim_start()));
                item = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// The lines, counted from 1, that belong to `#[cfg(test)]` modules.
pub(crate) fn test_lines(code: &str) -> Vec<std::ops::RangeInclusive<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(start) = code[from..].find("#[cfg(test)]").map(|offset| from + offset) {
        let item = &code[start..];
        let end = match (item.find('{'), item.find(';')) {
            (Some(open), semicolon) if semicolon.is_none_or(|s| open < s) => {
                start + closing_brace(item, open)
            }
            (_, Some(semicolon)) => start + semicolon,
            _ => code.len() - 1,
        };
        let line = |at: usize| code[..at].matches('\n').count() + 1;
        ranges.push(line(start)..=line(end));
        from = end + 1;
    }
    ranges
}

fn first_name(text: &str) -> &str {
    text.find(|c| !is_name_char(c)).map_or(text, |end| &text[..end])
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    code.len() - 1
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none starts there.
fn blank_until(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => find(chars, at, |rest| rest[0] == '\n', 0),
        '/' if next == Some('*') => block_comment(chars, at),
        '"' => quoted(chars, at, '"'),
        '\'' if next == Some('\\') || chars.get(at + 2) == Some(&'\'') => quoted(chars, at, '\''),
        'r' if !at.checked_sub(1).is_some_and(|before| is_raw_prefix_blocked(chars, before)) => {
            raw_string(chars, at)
        }
        _ => at,
    }
}

/// An `r` inside a name starts no raw string, but the `r` of `br"` and `cr"` does.
fn is_raw_prefix_blocked(chars: &[char], before: usize) -> bool {
    let alone = before == 0 || !is_name_char(chars[before - 1]);
    is_name_char(chars[before]) && !(matches!(chars[before], 'b' | 'c') && alone)
}

fn raw_string(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return at;
    }
    let closes = |rest: &[char]| {
        rest[0] == '"' && rest[1..].iter().take_while(|&&c| c == '#').count() >= hashes
    };
    find(chars, open + 1, closes, 1 + hashes)
}

fn block_comment(chars: &[char], at: usize) -> usize {
    let (mut depth, mut here) = (0_usize, at);
    while here < chars.len() {
        match chars[here..] {
            ['/', '*', ..] => (depth, here) = (depth + 1, here + 2),
            ['*', '/', ..] => (depth, here) = (depth - 1, here + 2),
            _ => here += 1,
        }
        if depth == 0 {
            break;
        }
    }
    here
}

fn quoted(chars: &[char], at: usize, quote: char) -> usize {
    let mut here = at + 1;
    while here < chars.len() && chars[here] != quote {
        here += if chars[here] == '\\' { 2 } else { 1 };
    }
    here + 1
}

fn find(chars: &[char], from: usize, matches: impl Fn(&[char]) -> bool, length: usize) -> usize {
    (from..chars.len()).find(|&here| matches(&chars[here..])).map_or(chars.len(), |h| h + length)
}

#[test]
fn blanks_comments_and_literals_and_keeps_lines() {
    let text = r##"a "b\"c" // d
/* e /* f */ g */ h 'i' '\'' 'static br#"j" k"# r"l" for_r "m
n" o"##;
    let code = without_comments_and_literals(text);
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "h", "'static", "b", "for_r", "o"]);
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
}

#[test]
fn lists_names_with_the_path_that_they_start() {
    let found = names("use one::two;\nthree four::{five, six::seven}; ::eight::nine");
    let texts: Vec<&str> = found.iter().map(|name| name.text).collect();
    assert_eq!(texts, ["use", "one", "three", "four", "five", "six", "eight"]);
    assert_eq!((found[1].after, found[1].line), (Some("use"), 1));
    assert_eq!(found[2].line, 2);
    assert_eq!(heads(found[3].tail.unwrap()), ["five", "six"]);
    assert_eq!(heads(found[1].tail.unwrap()), ["two"]);
}

#[test]
fn finds_the_lines_of_test_modules() {
    let code =
        "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod d;";
    assert_eq!(test_lines(code), [2..=5, 7..=8]);
}

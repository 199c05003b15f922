//! What the program prints in the end.

use std::fmt::Write;
use std::time::Duration;

use super::crew::Totals;
use super::remarks::Remarks;

/// A shorter count says more about the start of processes than about their speed.
const MEANINGFUL: Duration = Duration::from_millis(50);

pub const MIB: f64 = (1 << 20) as f64;

/// The words: total, different ones, the most frequent ones.
pub fn words(totals: &Totals, files: usize, top: usize) -> String {
    let counts = &totals.counts;
    let (total, distinct) = (counts.total(), counts.distinct());
    let (files, mib) = (plural(files, "file"), totals.bytes as f64 / MIB);
    let mut text = format!("{files}, {mib:.1} MiB of text, {total} words, {distinct} distinct\n");
    let most_frequent = counts.top(top);
    if !most_frequent.is_empty() {
        text.push('\n');
    }
    let width = most_frequent.first().map_or(0, |(_, times)| times.to_string().len());
    for (word, times) in most_frequent {
        line(&mut text, format_args!("  {times:width$}  {}", printable(word)));
    }
    text
}

/// What is odd about files and workers; nothing, if nothing is.
pub fn oddities(remarks: &Remarks, incidents: &[String]) -> String {
    let mut text = String::new();
    for (remark, count, names) in remarks.iter() {
        let more = if count > names.len() as u64 { ", .." } else { "" };
        let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        line(&mut text, format_args!("  {count:6} {}: {}{more}", remark.text(), names.join(", ")));
    }
    if !text.is_empty() {
        text.insert_str(0, "\nfiles that were not plain text:\n");
    }
    for incident in incidents {
        line(&mut text, format_args!("\n{incident}"));
    }
    text
}

/// How fast several processes were, and one: both found the files in memory.
pub fn speed(bytes: u64, workers: &str, together: Duration, alone: Duration) -> String {
    let mut text = String::from("\n");
    for (who, time) in [(workers, together), ("one process", alone)] {
        let seconds = time.as_secs_f64();
        let rate = bytes as f64 / MIB / seconds;
        line(&mut text, format_args!("{who:20} {seconds:8.3} s {rate:8.1} MiB/s"));
    }
    let speed_up = alone.as_secs_f64() / together.as_secs_f64();
    let note = match alone < MEANINGFUL {
        true => " (starting the workers took most of it: try a larger tree)",
        false => "",
    };
    line(&mut text, format_args!("speed-up {speed_up:.2}{note}"));
    text
}

/// How the comparison with the plain count went.
pub fn check(words: usize, differing: usize, examples: &[String]) -> String {
    if differing == 0 {
        return format!("check: all {words} words as often as in a plain count\n");
    }
    let mut text = format!("check: FAILED, {} counted differently\n", plural(differing, "word"));
    for example in examples {
        line(&mut text, format_args!("  {example}"));
    }
    text
}

/// `count` things, by their name.
pub fn plural(count: usize, name: &str) -> String {
    let ending = match (count, name.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {name}{ending}")
}

/// A word as text for a terminal: nothing that moves the cursor, and not a page of it.
fn printable(word: &[u8]) -> String {
    const LONGEST: usize = 60;
    let shown = String::from_utf8_lossy(&word[..word.len().min(LONGEST)]);
    let dots = if word.len() > LONGEST { ".." } else { "" };
    format!("{}{dots}", shown.escape_debug())
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("strings take everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_disturb_the_terminal() {
        assert_eq!(printable("caf\u{e9}".as_bytes()), "caf\u{e9}");
        assert_eq!(printable("a\u{9b}2Jb".as_bytes()), "a\\u{9b}2Jb");
        assert_eq!(printable(&[b'x'; 1_000]).len(), 62);
    }

    #[test]
    fn a_failed_check_says_so() {
        let text = check(3, 1, &["\"a\": 1 by the workers, 2 by the plain count".to_string()]);
        assert!(text.starts_with("check: FAILED, 1 word counted differently\n  \"a\""));
        assert!(check(3, 0, &[]).contains("all 3 words"));
    }

    #[test]
    fn speed_is_text_per_second() {
        let second = Duration::from_secs(1);
        let text = speed(64 << 20, "2 worker processes", second, 2 * second);
        assert!(text.contains("64.0 MiB/s") && text.contains("32.0 MiB/s"), "{text}");
        assert!(text.ends_with("speed-up 2.00\n"));
    }
}

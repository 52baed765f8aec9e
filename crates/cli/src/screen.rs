//! Output that ends quietly when nobody reads any more, and words as an operator wants them.

use std::io::Write;

/// Print text as it is.
pub fn text(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => {}
        // The reader closed the pipe: it has what it wanted.
        Err(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(cause) => {
            error(&format!("the output cannot be written: {cause}"));
            std::process::exit(1);
        }
    }
}

/// Print a line.
pub fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Say what went wrong.
pub fn error(words: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain(words));
}

/// Tell of progress where a person watches.
pub fn progress(words: &str) {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        error(words);
    }
}

/// Without the kernel's numbers, which say nothing that the words do not, and without what a terminal would obey.
fn plain(words: &str) -> String {
    const NUMBER: &str = " (os error ";
    let mut rest = words;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once(NUMBER) {
        plain.push_str(before);
        match after.split_once(')') {
            Some((number, tail)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest = tail,
            _ => {
                plain.push_str(NUMBER);
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn numbers_of_the_kernel_are_left_out_and_words_stay() {
        let cause = std::io::Error::from_raw_os_error(2);
        assert_eq!(plain(&format!("a: {cause}; b: {cause}")), "a: No such file or directory; b: No such file or directory");
        assert_eq!(plain("x (os error here) (os error 2"), "x (os error here) (os error 2");
        assert_eq!(plain("a\u{1b}[31mb\nc\rd"), "a [31mb\nc d");
    }
}

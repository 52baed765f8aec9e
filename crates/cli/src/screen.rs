//! Output that ends quietly when nobody reads any more.

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
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Tell of progress where a person watches.
pub fn progress(words: &str) {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        error(words);
    }
}

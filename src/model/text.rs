//! Text from outside, as people may be shown it.

/// The text with its control characters escaped: files, variables and processes may hold anything,
/// and nothing of it moves the cursor of a terminal.
pub fn harmless(text: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().collect(),
        false => String::from(c),
    };
    text.chars().map(escaped).collect()
}

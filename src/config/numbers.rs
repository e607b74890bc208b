//! Sets of whole numbers as the contract writes them: ports, PIDs.

use super::document::{Content, Node};
use crate::model::selector::Numbers;

/// Reads a number, a comma list of numbers and ranges (`80,443,8000-8999`; a range that ends in 0
/// is one number), or a YAML sequence of numbers; `max` is the greatest there is.
pub(super) fn read(node: &Node, max: u32) -> Result<Numbers, String> {
    let ranges: Option<Vec<_>> = match &node.content {
        Content::Quoted(text) | Content::Plain(text) => {
            text.split(',').map(|part| range(part, max)).collect()
        }
        Content::List(items) => items
            .iter()
            .map(|item| match &item.content {
                Content::Plain(text) => number(text, max).map(|n| (n, n)),
                _ => None,
            })
            .collect(),
        Content::Map(_) => None,
    };
    ranges.map(Numbers::new).ok_or_else(|| {
        format!(
            "must be numbers from 1 to {max}: one, a comma list with ranges such as \
             \"80,443,8000-8999\", or a sequence without ranges"
        )
    })
}

fn number(text: &str, max: u32) -> Option<u32> {
    let digits = text.trim();
    let number: u32 = match digits.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok().filter(|_| !digits.starts_with('+'))?,
    };
    (1..=max).contains(&number).then_some(number)
}

fn range(text: &str, max: u32) -> Option<(u32, u32)> {
    let Some((first, last)) = text.split_once('-') else {
        return number(text, max).map(|n| (n, n));
    };
    let first = number(first, max)?;
    let last = if last.trim() == "0" { first } else { number(last, max)? };
    (first <= last).then_some((first, last))
}

//! The template of service names.

use super::super::layers::{Remarks, Settings};
use super::{Plan, at, text};

/// What is plainly no Go template; the rest shows when it is used.
pub(super) fn service_name_template_is_whole(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    let path = "attributes.kubernetes.service_name_template";
    let Some(template) = text(settings, path) else { return };
    if let (Err(why), Some(setting)) = (is_whole(template), at(settings, path)) {
        remarks.wrong(settings, setting.key, format!("must be a Go template: {why}"));
    }
}

fn is_whole(template: &str) -> Result<(), &'static str> {
    let mut open = 0_u32;
    let mut rest = template;
    while let Some((_, behind)) = rest.split_once("{{") {
        let (action, tail) = action(behind)?;
        rest = tail;
        let action = action.trim_start_matches("- ").trim_end_matches(" -").trim();
        match action.split_whitespace().next() {
            None => return Err("an action between {{ and }} is empty"),
            Some("if" | "range" | "with" | "block" | "define") => open += 1,
            Some("end") => {
                open = open.checked_sub(1).ok_or("an {{end}} has nothing to end")?;
            }
            Some(_) => {}
        }
    }
    if open > 0 { Err("an {{end}} is missing") } else { Ok(()) }
}

/// What stands before the `}}` that ends an action, and behind it. Quoted text may hold braces.
fn action(text: &str) -> Result<(&str, &str), &'static str> {
    const UNCLOSED: &str = "a {{ is not closed";
    if text.trim_start_matches("- ").starts_with("/*") {
        return text.split_once("}}").ok_or(UNCLOSED);
    }
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match quote {
            None if matches!(c, '"' | '`' | '\'') => quote = Some(c),
            None if text.get(i..).is_some_and(|rest| rest.starts_with("}}")) => {
                return text.get(..i).zip(text.get(i + 2..)).ok_or(UNCLOSED);
            }
            Some(q) if c == q && !escaped => quote = None,
            _ => {}
        }
        escaped = c == '\\' && !escaped && quote.is_some_and(|q| q != '`');
    }
    Err(if quote.is_some() { "a quoted text is not closed" } else { UNCLOSED })
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn whole_templates_are_told_from_broken_ones() {
        for whole in [
            "",
            "plain }} text",
            "{{ .Meta.Name }}",
            "{{- .Meta.Name -}}",
            "{{ .A }}/{{ index .Meta.Labels \"app\" }}-${literal}",
            "{{ if .A }}{{ \"}}\" }}{{ else }}{{ `{{` }}{{ end }}",
            "{{/* a comment */}}x",
            "{{ printf \"%s\\\"}}\" .A }}",
            "{{ with .A }}{{ range .B }}{{ . }}{{ end }}{{ end }}",
        ] {
            assert_eq!(is_whole(whole), Ok(()), "{whole}");
        }
        for (broken, why) in [
            ("{{ .Meta.Name", "a {{ is not closed"),
            ("{{ .A }", "a {{ is not closed"),
            ("a {{ .A }} {{", "a {{ is not closed"),
            ("{{ }}", "an action between {{ and }} is empty"),
            ("{{ if .A }}x", "an {{end}} is missing"),
            ("{{ end }}", "an {{end}} has nothing to end"),
            ("{{ \"x }}", "a quoted text is not closed"),
        ] {
            assert_eq!(is_whole(broken), Err(why), "{broken}");
        }
    }
}

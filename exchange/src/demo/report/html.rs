//! Pieces of HTML. Everything here takes plain text and escapes it, unless it says otherwise.

use super::number;

/// Rows a table shows before it says how many were left out: a page of at most a few megabytes.
const TABLE_ROWS_MAX: usize = 5_000;

/// `text` with the characters that mean something in HTML replaced.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A section with a heading and a sentence that says what to see. `body` is HTML.
pub(super) fn section(id: &str, heading: &str, lead: &str, body: &str) -> String {
    let heading = escape(heading);
    let lead = match lead {
        "" => String::new(),
        lead => format!("<p class=\"lead\">{}</p>\n", escape(lead)),
    };
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-heading\">\n\
         <h2 id=\"{id}-heading\">{heading}</h2>\n{lead}{body}</section>\n"
    )
}

/// A figure with its title and legend. Legend entries are a style class and a text; `charts` is
/// HTML.
pub(super) fn figure(title: &str, legend: &[(&str, &str)], charts: &str) -> String {
    let title = escape(title);
    let keys: String = legend
        .iter()
        .map(|(class, text)| {
            format!("<li><span class=\"key {class}\"></span>{}</li>", escape(text))
        })
        .collect();
    let legend = match keys.as_str() {
        "" => String::new(),
        keys => format!("\n<ul class=\"legend\">{keys}</ul>"),
    };
    format!(
        "<figure>\n<figcaption><strong>{title}</strong>{legend}</figcaption>\n{charts}</figure>\n"
    )
}

/// What stands in place of a chart that has nothing to show.
pub(super) fn empty(text: &str) -> String {
    format!("<p class=\"empty\">{}</p>\n", escape(text))
}

/// A list of labels and values; nothing when there are none.
pub(super) fn pairs(class: &str, pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let items: String = pairs
        .iter()
        .map(|(label, value)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(label), escape(value))
        })
        .collect();
    format!("<dl class=\"{class}\">\n{items}</dl>\n")
}

/// A folded table with the numbers behind a chart. The first `text_columns` columns are aligned
/// left, the others right.
pub(super) fn data_table(
    summary: &str,
    head: &[&str],
    text_columns: usize,
    rows: &[Vec<String>],
) -> String {
    let summary = escape(summary);
    let head = row("th scope=\"col\"", "th", text_columns, head);
    let body: String = rows
        .iter()
        .take(TABLE_ROWS_MAX)
        .map(|cells| {
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            row("td", "td", text_columns, &cells)
        })
        .collect();
    let left_out = match rows.len().saturating_sub(TABLE_ROWS_MAX) {
        0 => String::new(),
        more => format!("<p>{} more rows are not listed.</p>\n", number::grouped(more)),
    };
    format!(
        "<details>\n<summary>{summary}</summary>\n<div class=\"scroll\" tabindex=\"0\">\n\
         <table>\n<thead>\n{head}</thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n{left_out}\
         </details>\n"
    )
}

/// One table row. `open` is the cell's tag with its attributes, `close` the bare tag.
fn row(open: &str, close: &str, text_columns: usize, cells: &[&str]) -> String {
    let cells: String = cells
        .iter()
        .enumerate()
        .map(|(column, cell)| {
            let class = if column < text_columns { " class=\"text\"" } else { "" };
            format!("<{open}{class}>{}</{close}>", escape(cell))
        })
        .collect();
    format!("<tr>{cells}</tr>\n")
}

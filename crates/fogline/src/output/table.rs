//! Aligned columns without lines, as `ps` and `kubectl` print them, so that they can be cut and searched.

use comfy_table::{Cell, ContentArrangement, presets};

use super::clean;

/// Colours words that stand for a state, where colours are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// Whether they are.
    pub colors: bool,
}

impl Paint {
    /// A status word: green when all is well, yellow on its way, red when not.
    pub fn status(self, word: &str) -> String {
        let code = match word {
            "running" | "online" | "idle" | "active" | "healthy" | "ok" => "32",
            "pending" | "scheduled" | "starting" | "stopping" | "draining" | "cordoned" | "degraded" => "33",
            "failed" | "offline" | "unhealthy" => "31",
            _ => return clean(word).into_owned(),
        };
        self.with(code, word)
    }

    /// Something to look at first.
    pub fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colors { format!("\u{1b}[{code}m{}\u{1b}[0m", clean(text)) } else { clean(text).into_owned() }
    }
}

/// Rows under a header. Colours are put on whole lines of status words only after the columns were measured, so that an
/// escape never counts as width.
#[derive(Debug)]
pub struct Table {
    paint: Paint,
    inner: comfy_table::Table,
    rows: usize,
}

impl Table {
    /// An empty table with these column titles.
    pub fn new(paint: Paint, header: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(presets::NOTHING);
        inner.set_content_arrangement(ContentArrangement::Disabled);
        inner.force_no_tty();
        if paint.colors {
            inner.enforce_styling();
        }
        inner.set_header(header.iter().map(|title| {
            let cell = Cell::new(title);
            if paint.colors { cell.add_attribute(comfy_table::Attribute::Bold) } else { cell }
        }));
        Self { paint, inner, rows: 0 }
    }

    /// Adds a row; each text is made safe, and a word that names a state is coloured.
    pub fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        self.rows += 1;
        let colors = self.paint.colors;
        self.inner.add_row(cells.iter().map(|text| {
            let cell = Cell::new(clean(text.as_ref()));
            match color_of(text.as_ref()) {
                Some(color) if colors => cell.fg(color),
                _ => cell,
            }
        }));
    }

    /// The table, or `nothing` where it has no rows.
    pub fn render(mut self, nothing: &str) -> String {
        if self.rows == 0 {
            return nothing.to_owned();
        }
        for column in self.inner.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.inner.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

fn color_of(word: &str) -> Option<comfy_table::Color> {
    use comfy_table::Color::{Green, Red, Yellow};
    match word {
        "running" | "online" | "idle" | "active" | "healthy" => Some(Green),
        "pending" | "scheduled" | "starting" | "stopping" | "draining" | "cordoned" | "degraded" => Some(Yellow),
        "failed" | "offline" | "unhealthy" => Some(Red),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_carry_no_escapes() {
        let mut table = Table::new(Paint { colors: false }, &["NAME", "STATUS"]);
        table.row(&["web", "running"]);
        table.row(&["evil\u{1b}[2J", "failed"]);
        assert_eq!(table.render("none"), "NAME           STATUS\nweb            running\nevil\\u{1b}[2J  failed");
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(Table::new(Paint { colors: false }, &["NAME"]).render("no deployments"), "no deployments");
    }
}

//! Draws a view. What has no room is left out, the least needed first; no size is too small. Tests: below.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row as Cells, Table, TableState};

use super::column::Column;
use super::snapshot::Details;
use super::view::View;
use crate::output::{age, clean, moment};

/// From this height on there are details.
const WITH_DETAILS: u16 = 16;
/// From this height on the keys are told.
const WITH_KEYS: u16 = 5;
/// Decisions that are shown.
pub(super) const DECISIONS: u16 = 4;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, server: &str) {
    let area = frame.area();
    let details = if area.height >= WITH_DETAILS { area.height / 2 } else { 0 };
    let keys = u16::from(area.height >= WITH_KEYS);
    let [top, table, below, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(details),
        Constraint::Length(keys),
    ])
    .areas(area);
    headline(frame, top, view, server);
    deployments(frame, table, view);
    if let (Some(row), Some(known)) = (view.selected_row(), &view.snapshot.details)
        && known.deployment_id == row.id
        && details > 0
    {
        let [replicas, decisions] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(DECISIONS + 1)]).areas(below);
        draw_replicas(frame, replicas, &row.name, known);
        draw_decisions(frame, decisions, known);
    }
    let direction = if view.reversed { ", reversed" } else { "" };
    let told = format!("q quit  ↑↓ select  s sort ({}{direction})  r reverse", view.sorted_by.title());
    frame.render_widget(Paragraph::new(told).style(Style::new().add_modifier(Modifier::DIM)), bottom);
}

fn headline(frame: &mut Frame<'_>, area: Rect, view: &View, server: &str) {
    let rows = &view.snapshot.rows;
    let (ready, target) = rows.iter().fold((0, 0), |(ready, target), row| (ready + row.ready, target + row.target));
    let line = match &view.trouble {
        Some(why) => {
            let old = format!("as of {}: {}", moment(view.snapshot.at), clean(why));
            Line::from(Span::styled(old, Style::new().fg(Color::Red)))
        }
        None => Line::from(vec![
            Span::styled("fogline top", Style::new().add_modifier(Modifier::BOLD)),
            Span::raw(format!("  {}  {} deployments, {ready} of {target} replicas ready", clean(server), rows.len())),
        ]),
    };
    frame.render_widget(Paragraph::new(line), area);
}

fn deployments(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let columns = Column::fitting(area.width);
    let rows = view.snapshot.rows.iter().map(|row| {
        Cells::new(columns.iter().map(|column| {
            let text = column.text(row);
            let style = if *column == Column::Status { status_style(&text) } else { Style::new() };
            cell(*column, text.into_owned()).style(style)
        }))
    });
    let titles = columns.iter().map(|column| {
        let marked = if *column == view.sorted_by { Modifier::UNDERLINED } else { Modifier::empty() };
        cell(*column, column.title().to_owned()).style(Style::new().add_modifier(Modifier::BOLD | marked))
    });
    let widths = columns.iter().map(|column| column.width().map_or(Constraint::Min(8), Constraint::Length));
    let table = Table::new(rows, widths)
        .header(Cells::new(titles))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(view.selected_index());
    frame.render_stateful_widget(table, area, &mut state);
}

/// Numbers stand below each other.
fn cell(column: Column, text: String) -> Cell<'static> {
    let alignment = match column {
        Column::Name | Column::Status => Alignment::Left,
        _ => Alignment::Right,
    };
    Cell::from(Line::from(text).alignment(alignment))
}

fn status_style(word: &str) -> Style {
    match word {
        "running" => Style::new().fg(Color::Green),
        "pending" | "scheduled" | "starting" | "stopping" => Style::new().fg(Color::Yellow),
        "failed" => Style::new().fg(Color::Red),
        _ => Style::new(),
    }
}

fn draw_replicas(frame: &mut Frame<'_>, area: Rect, name: &str, known: &Details) {
    let rows = known.replicas.iter().map(|one| {
        let status = one.status.to_string();
        let style = status_style(&status);
        let text = |text: Option<&str>| clean(text.unwrap_or("-")).into_owned();
        Cells::new([
            Cell::from(text(one.node.as_deref())),
            Cell::from(status).style(style),
            Cell::from(if one.ready { "ready" } else { "" }),
            Cell::from(text(one.endpoint.as_deref())),
            Cell::from(one.restarts.to_string()),
            Cell::from(age(one.created_at)),
        ])
    });
    let widths = [
        Constraint::Min(8),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(22),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    let titles = Cells::new(["NODE", "STATUS", "", "ENDPOINT", "RESTARTS", "AGE"]);
    let block = Block::new().borders(Borders::TOP).title(format!(" {} ", clean(name)));
    frame.render_widget(Table::new(rows, widths).header(titles).block(block), area);
}

fn draw_decisions(frame: &mut Frame<'_>, area: Rect, known: &Details) {
    let lines = known.decisions.iter().map(|one| {
        let decision = &one.decision;
        let count = match decision.current == decision.replicas {
            true => format!("stays {}", decision.replicas),
            false => format!("{} → {}", decision.current, decision.replicas),
        };
        Line::from(format!("{:>7} ago  {count:<8}  {}", age(decision.at), clean(&decision.reason)))
    });
    let lines: Vec<Line<'_>> = lines.collect();
    let lines = if lines.is_empty() { vec![Line::from("nothing was decided yet")] } else { lines };
    let block = Block::new().borders(Borders::TOP).title(" decisions ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::snapshot::Row;
    use super::super::snapshot::tests::{details, row, snapshot};
    use super::*;

    fn drawn(width: u16, height: u16, view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| draw(frame, view, "http://127.0.0.1:8000")).expect("drawn");
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
    }

    fn view() -> View {
        let web = Row {
            requests_per_s: Some(120.4),
            open: Some(3.0),
            p95_ms: Some(12.3),
            error_percent: Some(0.25),
            cpu_percent: Some(41.7),
            ..row(1, "web")
        };
        let mut snapshot = snapshot(vec![web, row(2, "evil\u{1b}[2J")]);
        snapshot.details = Some(details(2));
        View::new(snapshot)
    }

    #[test]
    fn load_is_shown_beside_the_counts() {
        let shown = drawn(90, 24, &view());
        let line = shown.lines().find(|line| line.starts_with("web")).expect("a row");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["web", "running", "2/2", "120", "3.0", "12", "ms", "0.2%", "42%"], "{shown}");
        assert!(shown.contains("2 deployments, 4 of 4 replicas ready"), "{shown}");
        assert!(shown.contains("node-01") && shown.contains("127.0.0.1:20000"), "{shown}");
        assert!(shown.contains("1 → 2") && shown.contains("too many requests"), "{shown}");
    }

    #[test]
    fn what_a_server_says_does_nothing_to_the_terminal() {
        let shown = drawn(90, 24, &view());
        assert!(shown.contains("evil\\u{1b}[2J") && !shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn a_small_screen_shows_what_matters_most_and_none_is_too_small() {
        let shown = drawn(40, 6, &view());
        assert!(shown.contains("web") && shown.contains("READY") && !shown.contains("CPU"), "{shown}");
        for (width, height) in [(1, 1), (3, 2), (20, 1), (12, 40), (500, 3)] {
            drawn(width, height, &view());
        }
    }

    #[test]
    fn old_news_is_marked_as_such() {
        let mut view = view();
        view.take(Err("no server answers".to_owned()));
        let shown = drawn(90, 24, &view);
        assert!(shown.contains("as of") && shown.contains("no server answers") && shown.contains("web"), "{shown}");
    }
}

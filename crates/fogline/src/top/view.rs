//! What of a snapshot a person looks at: the order of rows and the one that is selected. Keys change it; nothing here
//! touches a terminal. Tests: below.

use fogline_core::id::DeploymentId;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::column::Column;
use super::snapshot::{Row, Snapshot};

/// What follows from a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Go on.
    Stay,
    /// The person has seen enough.
    Quit,
}

/// What is looked at.
#[derive(Debug)]
pub(super) struct View {
    /// The latest.
    pub snapshot: Snapshot,
    /// Why there is none newer, where there should be.
    pub trouble: Option<String>,
    pub sorted_by: Column,
    pub reversed: bool,
    selected: Option<DeploymentId>,
}

impl View {
    pub fn new(snapshot: Snapshot) -> Self {
        let mut view = Self { snapshot, trouble: None, sorted_by: Column::Name, reversed: false, selected: None };
        view.settle();
        view
    }

    /// Takes news.
    pub fn take(&mut self, news: Result<Snapshot, String>) {
        match news {
            Ok(snapshot) => {
                self.snapshot = snapshot;
                self.trouble = None;
                self.settle();
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    /// The deployment whose details are shown.
    pub const fn selected(&self) -> Option<DeploymentId> {
        self.selected
    }

    /// Its row.
    pub fn selected_index(&self) -> Option<usize> {
        self.snapshot.rows.iter().position(|row| Some(row.id) == self.selected)
    }

    pub fn selected_row(&self) -> Option<&Row> {
        self.selected_index().map(|index| &self.snapshot.rows[index])
    }

    /// Does what a key says.
    pub fn press(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Stay;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Next::Quit,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Next::Quit,
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(10),
            KeyCode::PageUp => self.step(-10),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Char('s') | KeyCode::Right => self.sort(1),
            KeyCode::Left => self.sort(Column::ALL.len() - 1),
            KeyCode::Char('r') => {
                self.reversed = !self.reversed;
                self.settle();
            }
            _ => {}
        }
        Next::Stay
    }

    fn step(&mut self, by: isize) {
        let last = self.snapshot.rows.len().saturating_sub(1);
        let now = self.selected_index().unwrap_or(0);
        self.selected = self.snapshot.rows.get(now.saturating_add_signed(by).min(last)).map(|row| row.id);
    }

    fn sort(&mut self, by: usize) {
        let now = Column::ALL.iter().position(|column| *column == self.sorted_by).unwrap_or(0);
        self.sorted_by = Column::ALL[(now + by) % Column::ALL.len()];
        self.settle();
    }

    /// Puts rows in order. Who was selected stays so, wherever the row goes; one that is gone leaves it to the first.
    fn settle(&mut self) {
        let (column, reversed) = (self.sorted_by, self.reversed);
        self.snapshot.rows.sort_by(|one, other| {
            let order = column.order(one, other);
            if reversed { order.reverse() } else { order }
        });
        if self.selected_index().is_none() {
            self.selected = self.snapshot.rows.first().map(|row| row.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::tests::{row, snapshot};
    use super::*;

    fn press(view: &mut View, code: KeyCode) -> Next {
        view.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn names(view: &View) -> Vec<&str> {
        view.snapshot.rows.iter().map(|row| row.name.as_str()).collect()
    }

    fn selected(view: &View) -> &str {
        &view.selected_row().expect("one is selected").name
    }

    fn three() -> Snapshot {
        snapshot(vec![
            Row { requests_per_s: Some(5.0), ..row(1, "web") },
            Row { requests_per_s: None, ..row(2, "api") },
            Row { requests_per_s: Some(90.5), ..row(3, "jobs") },
        ])
    }

    #[test]
    fn rows_are_ordered_by_name_and_by_what_is_asked_for() {
        let mut view = View::new(three());
        assert_eq!(names(&view), ["api", "jobs", "web"]);
        for _ in 0..3 {
            press(&mut view, KeyCode::Char('s'));
        }
        assert_eq!((view.sorted_by, names(&view)), (Column::Requests, vec!["jobs", "web", "api"]));
        press(&mut view, KeyCode::Char('r'));
        assert_eq!(names(&view), ["api", "web", "jobs"]);
        for _ in 0..4 {
            press(&mut view, KeyCode::Left);
        }
        assert_eq!(view.sorted_by, Column::Cpu);
    }

    #[test]
    fn who_was_selected_stays_selected_wherever_it_goes() {
        let mut view = View::new(three());
        press(&mut view, KeyCode::Down);
        assert_eq!(selected(&view), "jobs");
        press(&mut view, KeyCode::Char('r'));
        assert_eq!(selected(&view), "jobs");
        view.take(Ok(snapshot(vec![row(1, "web"), row(3, "jobs"), row(4, "zoo")])));
        assert_eq!(selected(&view), "jobs");
        view.take(Ok(snapshot(vec![row(4, "zoo")])));
        assert_eq!(selected(&view), "zoo");
        view.take(Ok(snapshot(Vec::new())));
        assert_eq!(view.selected(), None);
        press(&mut view, KeyCode::Down);
        assert_eq!(view.selected(), None);
    }

    #[test]
    fn the_selection_ends_at_the_ends() {
        let mut view = View::new(three());
        for (code, name) in
            [(KeyCode::Up, "api"), (KeyCode::End, "web"), (KeyCode::Down, "web"), (KeyCode::Home, "api")]
        {
            press(&mut view, code);
            assert_eq!(selected(&view), name, "{code:?}");
        }
    }

    #[test]
    fn trouble_leaves_what_was_known() {
        let mut view = View::new(three());
        view.take(Err("no server answers".to_owned()));
        assert_eq!((view.snapshot.rows.len(), view.trouble.as_deref()), (3, Some("no server answers")));
        view.take(Ok(three()));
        assert_eq!(view.trouble, None);
    }

    #[test]
    fn there_are_ways_out() {
        let mut view = View::new(three());
        let out = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.press(out), Next::Quit);
        assert_eq!(press(&mut view, KeyCode::Char('q')), Next::Quit);
        assert_eq!(press(&mut view, KeyCode::Esc), Next::Quit);
        assert_eq!(press(&mut view, KeyCode::Char('c')), Next::Stay);
    }
}

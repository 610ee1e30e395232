//! The newest events, without I/O: what a client gets after a position.

use std::collections::VecDeque;

use exequatur_federation::revocation::StatusReference;

use super::{Mark, Position};

/// Events that are kept: 1 MiB, and eight seconds of the fastest revoking that a node does.
pub(super) const EVENTS_MAX: usize = 65_536;

/// The newest events of one epoch. Numbers count from 1.
pub(super) struct Events {
    epoch: u64,
    kept: VecDeque<StatusReference>,
    /// Number of the event that comes next.
    next: u64,
    /// The published lists hold every event before this one.
    published: u64,
    /// Whether clients must begin anew once lists are published.
    reset: bool,
}

impl Events {
    pub(super) const fn new(epoch: u64) -> Self {
        Self { epoch, kept: VecDeque::new(), next: 1, published: 1, reset: false }
    }

    pub(super) fn push(&mut self, status: StatusReference) {
        if self.kept.len() == EVENTS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(status);
        self.next += 1;
    }

    pub(super) const fn mark(&self) -> Mark {
        Mark { next: self.next, reset: self.reset }
    }

    pub(super) const fn reset_after_publication(&mut self) {
        self.reset = true;
    }

    /// The lists hold everything before the mark. With a new epoch, every client begins anew.
    pub(super) fn published(&mut self, mark: Mark, epoch: Option<u64>) {
        self.published = self.published.max(mark.next);
        if let Some(epoch) = epoch {
            self.epoch = epoch;
            self.reset = false;
        }
    }

    /// Whether the client must read the lists anew, the events that it then lacks (the first `max`
    /// of them), and where it is after them.
    pub(super) fn after(
        &mut self,
        position: Option<Position>,
        max: usize,
    ) -> (bool, Vec<StatusReference>, Position) {
        let first = self.first();
        let known = position.filter(|at| {
            at.epoch == self.epoch && at.number.saturating_add(1) >= first && at.number < self.next
        });
        let from = match known {
            Some(at) => at.number + 1,
            None => {
                // Events between the lists and the oldest one kept reach nobody who begins now: it
                // must begin once more when the lists hold them.
                self.reset |= first > self.published;
                first.max(self.published)
            }
        };
        let skipped = usize::try_from(from - first).unwrap_or(usize::MAX);
        let events: Vec<_> = self.kept.iter().skip(skipped).take(max).copied().collect();
        let number = from - 1 + u64::try_from(events.len()).unwrap_or_default();
        (known.is_none(), events, Position { epoch: self.epoch, number })
    }

    /// Number of the oldest event that is kept, or of the next if none is.
    fn first(&self) -> u64 {
        self.next - u64::try_from(self.kept.len()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::revocation::ListId;

    use super::*;

    fn status(index: u32) -> StatusReference {
        StatusReference { list: ListId::new(1), index }
    }

    fn indexes(events: &[StatusReference]) -> Vec<u32> {
        events.iter().map(|event| event.index).collect()
    }

    fn with(count: u32) -> Events {
        let mut events = Events::new(9);
        (1..=count).for_each(|index| events.push(status(index)));
        events
    }

    const fn at(number: u64) -> Position {
        Position { epoch: 9, number }
    }

    #[test]
    fn who_has_a_position_goes_on_from_it() {
        let mut events = with(5);
        let (reset, got, position) = events.after(Some(at(2)), 2);
        assert_eq!((reset, indexes(&got), position), (false, vec![3, 4], at(4)));
        let (reset, got, position) = events.after(Some(at(5)), 10);
        assert_eq!((reset, indexes(&got), position), (false, vec![], at(5)));
    }

    #[test]
    fn who_has_none_begins_anew_with_what_the_lists_lack() {
        let mut events = with(5);
        let mark = events.mark();
        events.push(status(6));
        events.published(mark, None);
        let elsewhere = Position { epoch: 8, number: 2 };
        for position in [None, Some(elsewhere), Some(at(7)), Some(at(u64::MAX))] {
            let (reset, got, position) = events.after(position, 10);
            assert_eq!((reset, indexes(&got), position), (true, vec![6], at(6)));
        }
    }

    #[test]
    fn who_was_away_too_long_begins_anew() {
        let kept = u32::try_from(EVENTS_MAX).unwrap();
        let mut events = with(kept + 3);
        assert_eq!(events.kept.len(), EVENTS_MAX);
        assert!(!events.after(Some(at(3)), 1).0);
        let mark = events.mark();
        events.published(mark, None);
        let (reset, got, position) = events.after(Some(at(2)), 1);
        assert_eq!((reset, indexes(&got), position), (true, vec![], at(u64::from(kept) + 3)));
        assert!(!events.mark().reset);
    }

    #[test]
    fn who_begins_where_neither_list_nor_event_tells_begins_once_more() {
        let mut events = with(u32::try_from(EVENTS_MAX).unwrap() + 3);
        let (reset, got, position) = events.after(None, 1);
        assert!(reset && indexes(&got) == [4]);
        let mark = events.mark();
        assert!(mark.reset);
        events.published(mark, Some(10));
        assert!(!events.mark().reset);
        assert!(events.after(Some(position), 1).0);
    }

    #[test]
    fn a_change_that_cannot_be_told_makes_all_begin_anew_after_the_publication() {
        let mut events = with(2);
        let early = events.mark();
        events.reset_after_publication();
        events.published(early, None);
        assert!(!events.after(Some(at(2)), 1).0);
        let mark = events.mark();
        events.published(mark, Some(10));
        assert!(events.after(Some(at(2)), 1).0);
    }
}

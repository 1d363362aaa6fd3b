//! Reading a list of incoming money by its numbers: where a reading begins, and which numbers it leaves out.
//!
//! Numbers can become visible out of order, so that the cursor, the greatest number that was shown, is not trusted alone. Each
//! reading begins a stretch before it, and what the sequence leaves out is asked for by itself.

/// Each reading begins so many numbers before the cursor.
pub const TRAIL: i64 = 200;
/// Of one gap in the sequence, at most so many numbers are asked for: those next to its upper end. In a longer gap they are
/// other merchants'.
pub const GAP: i64 = 1000;

/// One reading, from a stretch before the cursor until nothing more is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The next page shows what follows this.
    pub after: i64,
    reached: i64,
}

/// What a page comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Numbers beyond the cursor that it leaves out: to be asked for by themselves.
    pub missing: Vec<i64>,
    /// The cursor, once the page is stored.
    pub cursor: i64,
}

impl Reading {
    /// Begins a reading.
    pub fn from(cursor: i64) -> Self {
        Self { after: (cursor - TRAIL).max(0), reached: cursor }
    }

    /// Takes the numbers of a page. `None` if the list goes in circles: it shows nothing beyond what was asked for.
    pub fn take(&mut self, shown: &[i64]) -> Option<Page> {
        let last = shown.iter().copied().max().filter(|last| *last > self.after)?;
        let mut numbers: Vec<i64> = shown.iter().copied().filter(|number| *number > self.reached).collect();
        numbers.sort_unstable();
        let mut before = self.reached;
        let mut missing = Vec::new();
        for number in numbers {
            missing.extend((before + 1).max(number - GAP)..number);
            before = number;
        }
        (self.after, self.reached) = (last, before);
        Some(Page { missing, cursor: before })
    }
}

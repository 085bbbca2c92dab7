//! Long lists, page by page.

/// How many lines a page has.
const PER_PAGE: usize = 50;

/// Where one is in a list.
pub(super) struct Pager {
    pub(super) number: usize,
    pub(super) count: usize,
    link: String,
}

impl Pager {
    /// The page of a number, or the nearest that there is, of a list that is reached by `link` and a number after it.
    pub(super) fn new(asked: usize, total: usize, link: String) -> Self {
        let count = total.div_ceil(PER_PAGE).max(1);
        Self { number: asked.clamp(1, count), count, link }
    }

    /// The lines of this page.
    pub(super) fn of<T>(&self, mut all: Vec<T>) -> Vec<T> {
        all.truncate(self.number * PER_PAGE);
        all.split_off(((self.number - 1) * PER_PAGE).min(all.len()))
    }

    pub(super) fn previous(&self) -> Option<String> {
        (self.number > 1).then(|| format!("{}{}", self.link, self.number - 1))
    }

    pub(super) fn next(&self) -> Option<String> {
        (self.number < self.count).then(|| format!("{}{}", self.link, self.number + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_on_one_page() {
        for total in [0, 1, PER_PAGE, PER_PAGE + 1, 3 * PER_PAGE] {
            let pages = Pager::new(1, total, "?page=".to_owned());
            let lines = (1..=pages.count).flat_map(|number| {
                Pager::new(number, total, String::new()).of((0..total).collect::<Vec<_>>())
            });
            assert!(lines.eq(0..total), "{total}");
        }
        let last = Pager::new(99, PER_PAGE + 1, "?page=".to_owned());
        assert_eq!((last.number, last.previous().as_deref(), last.next()), (2, Some("?page=1"), None));
        assert_eq!(Pager::new(0, 0, String::new()).number, 1);
    }
}

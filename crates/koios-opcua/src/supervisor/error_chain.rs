//! An error and its causes on one line, for the log.

use std::error::Error;

/// `error: its cause: the cause of that`. Errors here do not print their sources themselves.
pub(super) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanError;

    #[test]
    fn every_cause_is_named_once() {
        let error = PlanError::from(koios_channel::EndpointUrl::parse("http://x").unwrap_err());
        assert_eq!(
            error_chain(&error),
            "the endpoint URL cannot be read: the URL must begin with opc.tcp://"
        );
    }
}

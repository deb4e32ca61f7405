//! The settings that hold now: a reload may have changed some of them.

use std::sync::{Arc, PoisonError, RwLock};

use super::{
    Settings,
    table::{Reload, SETTINGS},
};

/// The present settings, shared by all who go by them.
#[derive(Clone, Debug)]
pub(crate) struct LiveSettings(Arc<RwLock<Arc<Settings>>>);

impl LiveSettings {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(settings))))
    }

    /// As they are now. Whoever needs several for one piece of work asks once.
    pub(crate) fn now(&self) -> Arc<Settings> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn replace(&self, settings: Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

/// What is different in newly read settings, by key.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes {
    pub(crate) taken: Vec<&'static str>,
    pub(crate) need_a_restart: Vec<&'static str>,
}

impl Settings {
    /// These settings with what a running daemon takes of the new ones.
    pub(crate) fn taking(&self, new: &Self) -> Result<(Self, Changes), serde_json::Error> {
        let mut merged = serde_json::to_value(self)?;
        let new = serde_json::to_value(new)?;
        let mut changes = Changes::default();
        for setting in SETTINGS {
            let pointer = format!("/{}", setting.key.replace('.', "/"));
            let (Some(present), Some(new)) = (merged.pointer_mut(&pointer), new.pointer(&pointer)) else {
                continue;
            };
            if present == new {
                continue;
            }
            match setting.reload {
                Reload::AtOnce => {
                    present.clone_from(new);
                    changes.taken.push(setting.key);
                }
                Reload::Restart => changes.need_a_restart.push(setting.key),
            }
        }
        Ok((serde_json::from_value(merged)?, changes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;

    #[test]
    fn only_what_a_running_daemon_can_take_is_taken() {
        let old = Settings::defaults_for_tests();
        let mut new = old.clone();
        new.log_level = LogLevel::Debug;
        new.organization = Some("Plant".to_owned());
        new.cors_allowed_origins = vec!["https://a.example".to_owned()];
        new.retry_max_seconds = 2.5;
        new.listen = "127.0.0.1:9".parse().unwrap();
        new.data_dir = "/elsewhere".into();
        let (merged, changes) = old.taking(&new).unwrap();
        assert_eq!(changes.taken, ["log_level", "cors_allowed_origins", "organization", "retry_max_seconds"]);
        assert_eq!(changes.need_a_restart, ["listen", "data_dir"]);
        assert_eq!((merged.listen, merged.data_dir), (old.listen, old.data_dir));
        assert_eq!(merged.organization, new.organization);
        assert_eq!(merged.cors_allowed_origins, new.cors_allowed_origins);
        assert_eq!(merged.log_level, new.log_level);
        assert!((merged.retry_max_seconds - 2.5).abs() < f64::EPSILON);
        assert_eq!(new.taking(&new).unwrap().1, Changes::default());
    }
}

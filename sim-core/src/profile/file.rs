//! From bytes to a checked [`Profile`], and back.

use alloc::format;
use alloc::string::{String, ToString};

use super::error::{Fault, ProfileError};
use super::from_json::FromJson;
use super::schema::Profile;
use super::{layout, validate, version};
use crate::json_message;

impl Profile {
    /// The newest format version, the only one [`super::schema`] describes.
    pub const VERSION: u32 = 3;
    /// Longest file that is read.
    pub const MAX_BYTES: usize = 16 << 20;
    /// Most points on one axis of a table.
    pub const MAX_AXIS_POINTS: usize = 4096;

    /// Reads a profile file of any version up to [`Self::VERSION`] and checks every value in it.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProfileError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(ProfileError::TooLarge { num_bytes: bytes.len() });
        }
        let value =
            serde_json::from_slice(bytes).map_err(|error| ProfileError::NotJson { message: not_json(&error) })?;
        let profile = <Self as FromJson>::from_json(version::upgrade(value)?)
            .map_err(|fault| ProfileError::Shape(Fault { path: format!("${}", fault.path), ..fault }))?;
        profile.validate()?;
        Ok(profile)
    }

    /// The file: fields in the order of [`super::schema`], one row of a table to a line, a line feed at the end.
    /// Equal profiles give equal bytes.
    ///
    /// # Errors
    /// [`ProfileError::Values`] if the profile is not one that [`Self::from_json`] would accept.
    pub fn to_json(&self) -> Result<String, ProfileError> {
        self.validate()?;
        let compact = serde_json::to_string(self)
            .map_err(|error| ProfileError::Shape(Fault { path: "$".to_string(), message: error.to_string() }))?;
        Ok(layout::lay_out(&compact))
    }

    /// Checks every value: what [`Self::from_json`] does after the types are right.
    ///
    /// # Errors
    /// [`ProfileError::Values`] with all faults.
    pub fn validate(&self) -> Result<(), ProfileError> {
        let faults = validate::faults(self);
        if faults.is_empty() { Ok(()) } else { Err(ProfileError::Values(faults)) }
    }
}

/// The JSON parser's message with its place.
fn not_json(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&place).unwrap_or(&message);
    format!("{}{place}", json_message::for_people(message))
}

//! People and programs that may log in.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::UserId;
use crate::time::Timestamp;

/// What a user may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, on everyone's objects.
    Admin,
    /// Everything on their own objects.
    User,
    /// Looks at their own objects, changes nothing.
    Viewer,
}

/// How much a user may have. The limits are settings: [`crate::settings::Quota`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "names of tiers say no more than they do")]
pub enum Tier {
    Free,
    Pro,
    Enterprise,
}

macro_rules! words {
    ($name:ident { $($variant:ident = $text:literal,)+ }) => {
        impl $name {
            /// The word in rows and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The inverse of [`Self::as_str`].
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
words!(Role { Admin = "admin", User = "user", Viewer = "viewer", });
words!(Tier { Free = "free", Pro = "pro", Enterprise = "enterprise", });

/// An argon2id hash in PHC form. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a hash that was already made.
    #[must_use]
    pub const fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The hash itself, for the store and for the check of a login.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}

/// A row of `users`.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct UserRecord {
    pub id: UserId,
    pub username: String,
    pub password_hash: PasswordHash,
    pub role: Role,
    pub tier: Tier,
    /// A disabled user cannot log in, and the tokens they hold stop working.
    pub disabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

//! Users. For administrators.

use fogline_core::id::UserId;
use reqwest::Method;

use super::{Client, ClientError};
use crate::http::{CreateUserRequest, PatchUserRequest, UserResponse};

impl Client {
    /// All users.
    ///
    /// # Errors
    /// `forbidden`, and those of every call.
    pub async fn users(&self) -> Result<Vec<UserResponse>, ClientError> {
        Self::all(|| self.get(&["api", "v1", "users"])).await
    }

    /// Adds a user.
    ///
    /// # Errors
    /// `forbidden`, `invalid-request`, `name-taken`, and those of every call.
    pub async fn create_user(&self, user: &CreateUserRequest) -> Result<UserResponse, ClientError> {
        self.post(&["api", "v1", "users"]).body(user).answer().await
    }

    /// Changes what is set in `change`.
    ///
    /// # Errors
    /// `forbidden`, `not-found`, `last-administrator`, and those of every call.
    pub async fn patch_user(&self, id: UserId, change: &PatchUserRequest) -> Result<UserResponse, ClientError> {
        self.call(Method::PATCH, &["api", "v1", "users", &id.to_string()]).body(change).answer().await
    }

    /// Removes a user and their deployments.
    ///
    /// # Errors
    /// `forbidden`, `still-in-use`, `not-found`, `last-administrator`, and those of every call.
    pub async fn delete_user(&self, id: UserId) -> Result<(), ClientError> {
        self.call(Method::DELETE, &["api", "v1", "users", &id.to_string()]).nothing().await
    }
}

//! Logging in and out.

use reqwest::Method;

use super::{Client, ClientError};
use crate::http::{ChangePasswordRequest, LoginRequest, LogoutRequest, MeResponse, RefreshRequest, TokenResponse};

impl Client {
    /// Trades name and password for tokens.
    ///
    /// # Errors
    /// `login-refused`, `too-many-requests`, and those of every call.
    pub async fn login(&self, username: &str, password: &str) -> Result<TokenResponse, ClientError> {
        let body = LoginRequest { username: username.to_owned(), password: password.to_owned() };
        self.post(&["api", "v1", "auth", "login"]).body(&body).answer().await
    }

    /// Trades a refresh token, which is used up, for new tokens. Never sent twice by itself.
    ///
    /// # Errors
    /// `session-ended`, and those of every call.
    pub async fn refresh(&self, refresh_token: &str) -> Result<TokenResponse, ClientError> {
        let body = RefreshRequest { refresh_token: refresh_token.to_owned() };
        self.post(&["api", "v1", "auth", "refresh"]).body(&body).answer().await
    }

    /// Ends the session of the access token.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn logout(&self) -> Result<(), ClientError> {
        self.post(&["api", "v1", "auth", "logout"]).body(&LogoutRequest {}).nothing().await
    }

    /// Who the holder of the token is.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn me(&self) -> Result<MeResponse, ClientError> {
        self.get(&["api", "v1", "auth", "me"]).answer().await
    }

    /// Changes the caller's own password, and ends all their sessions.
    ///
    /// # Errors
    /// `login-refused` when the current password is wrong, and those of every call.
    pub async fn change_password(&self, current: &str, new: &str) -> Result<(), ClientError> {
        let body = ChangePasswordRequest { current_password: current.to_owned(), new_password: new.to_owned() };
        self.call(Method::PUT, &["api", "v1", "auth", "password"]).body(&body).nothing().await
    }
}

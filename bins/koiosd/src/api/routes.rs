//! Routes that answer 405 with `Allow` to every method they do not have.

use actix_web::{
    FromRequest, Handler, Resource, Responder,
    http::Method,
    web::{self, ServiceConfig},
};

use super::error::ApiError;

/// The methods of one path.
pub(crate) struct Routes {
    resource: Resource,
    allow: Vec<Method>,
}

/// Begins the routes of a path.
pub(crate) fn at(path: &str) -> Routes {
    Routes { resource: web::resource(path), allow: Vec::new() }
}

impl Routes {
    /// `GET`, and `HEAD` with it (RFC 9110 §9.1).
    pub(crate) fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::GET, handler.clone()).on(Method::HEAD, handler)
    }

    pub(crate) fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, handler)
    }

    pub(crate) fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PUT, handler)
    }

    pub(crate) fn patch<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PATCH, handler)
    }

    pub(crate) fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::DELETE, handler)
    }

    /// Adds the path to an application or scope.
    pub(crate) fn register(self, config: &mut ServiceConfig) {
        let allow = self.allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        config.service(self.resource.default_service(web::to(move || {
            let refusal = ApiError::method_not_allowed(&allow);
            async move { Err::<&str, _>(refusal) }
        })));
    }

    fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::method(method.clone()).to(handler));
        self.allow.push(method);
        self
    }
}

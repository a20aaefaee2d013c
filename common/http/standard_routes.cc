#include "common/http/standard_routes.h"

#include <utility>

namespace kvs {
namespace {

HttpHandler Probe(std::function<Status()> probe) {
  return
      [probe = std::move(probe)](const HttpRequest& /*request*/, const HttpResponder& responder) {
        const Status status = probe();
        if (status.ok()) {
          return responder.Send(TextResponse("ok\n"));
        }
        HttpResponse response = ErrorResponse(status);
        response.status = 503;  // Whatever the reason, probes only know up and down.
        responder.Send(std::move(response));
      };
}

}  // namespace

void AddStandardRoutes(HttpServer* server, StandardRoutes routes) {
  server->AddRoute("GET", "/healthz", Probe(std::move(routes.health)));
  server->AddRoute("GET", "/readyz", Probe(std::move(routes.ready)));
  server->AddRoute(
      "GET", "/metrics",
      [metrics = std::move(routes.metrics)](const HttpRequest& /*request*/,
                                            const HttpResponder& responder) {
        responder.Send({200, "text/plain; version=0.0.4; charset=utf-8", metrics(), {}});
      });
}

}  // namespace kvs

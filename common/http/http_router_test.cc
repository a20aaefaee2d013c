#include "common/http/http_router.h"

#include <string>

#include "gtest/gtest.h"

namespace kvs {
namespace {

class HttpRouterTest : public testing::Test {
 protected:
  HttpRouterTest() {
    Add("GET", "/things");
    Add("POST", "/things");
    Add("GET", "/things/{name}");
    Add("DELETE", "/things/{name}");
    Add("GET", "/things/{name}/parts/{part}");
  }

  void Add(const std::string& method, const std::string& pattern) {
    router_.Add(method, pattern, [=](const HttpRequest& request, const HttpResponder& responder) {
      std::string text = method + " " + pattern;
      for (const auto& [name, value] : request.params) {
        text += " " + name + "=" + value;
      }
      responder.Send(TextResponse(text));
    });
  }

  HttpResponse Get(const std::string& method, const std::string& path) {
    const auto exchange = std::make_shared<HttpExchange>();
    HttpRequest request;
    request.method = method;
    request.path = path;
    router_.Dispatch(request, HttpResponder(exchange));
    EXPECT_TRUE(exchange->done);
    return exchange->response;
  }

  HttpRouter router_;
};

TEST_F(HttpRouterTest, MethodAndPathChooseTheHandler) {
  EXPECT_EQ(Get("GET", "/things").body, "GET /things");
  EXPECT_EQ(Get("POST", "/things").body, "POST /things");
  EXPECT_EQ(Get("GET", "/things/a%2Fb").body, "GET /things/{name} name=a/b");
  EXPECT_EQ(Get("GET", "/things/a/parts/b").body, "GET /things/{name}/parts/{part} name=a part=b");
}

TEST_F(HttpRouterTest, HeadIsGet) {
  EXPECT_EQ(Get("HEAD", "/things").body, "GET /things");
}

TEST_F(HttpRouterTest, UnknownPathsAre404) {
  for (const std::string path : {"/", "/thing", "/things/", "/things//parts/x", "/things/a/parts",
                                 "/things/a/parts/b/c", "//things"}) {
    const HttpResponse response = Get("GET", path);
    EXPECT_EQ(response.status, 404) << path;
    const Result<Json> body = Json::Parse(response.body);
    ASSERT_TRUE(body.ok());
    EXPECT_EQ(*body->GetString("code"), "not_found");
    EXPECT_FALSE(body->GetString("remedy")->empty());
  }
}

TEST_F(HttpRouterTest, OtherMethodsAre405AndNameTheOnesThatWork) {
  const HttpResponse response = Get("PUT", "/things/a");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers, (HttpFields{{"Allow", "GET, DELETE"}}));
}

TEST_F(HttpRouterTest, ADroppedResponderAnswers500) {
  const auto exchange = std::make_shared<HttpExchange>();
  { const HttpResponder dropped(exchange); }
  EXPECT_TRUE(exchange->done);
  EXPECT_EQ(exchange->response.status, 500);
}

TEST(HttpMessageTest, AStatusBecomesCodeMessageAndRemedy) {
  const HttpResponse response =
      ErrorResponse(Status::AlreadyExists("namespace 'a' exists; choose another name"));
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.body,
            "{\n  \"code\": \"already_exists\",\n  \"message\": \"namespace 'a' exists\",\n"
            "  \"remedy\": \"choose another name\"\n}\n");
}

TEST(HttpMessageTest, EveryCodeHasAStatusWithAReason) {
  for (int i = 1; i < kCodeCount; ++i) {
    const int status = HttpStatusOf(static_cast<Code>(i));
    EXPECT_GE(status, 400);
    EXPECT_NE(HttpReason(status), "Unknown") << status;
  }
}

TEST(HttpMessageTest, ResponseBytes) {
  std::string out;
  EncodeResponse({200, "text/plain", "hi", {{"Allow", "GET"}}}, true, false, &out);
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
            "Connection: keep-alive\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\nAllow: GET\r\n\r\nhi");
}

}  // namespace
}  // namespace kvs

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/http/limits.hpp"
#include "wire/http/response.hpp"

namespace espalier::wire::http {
namespace {

using ::testing::HasSubstr;

ErrorCode code(std::string_view text) {
  const auto url = parse_url(text);
  EXPECT_FALSE(url.ok()) << text;
  return url ? ErrorCode::kInternal : url.error().code;
}

TEST(Url, PartsAndTheWayBack) {
  EXPECT_EQ(*parse_url("http://crl.example.net"), (Url{"crl.example.net", 80, "/", false}));
  EXPECT_EQ(*parse_url("HTTP://10.0.0.1:8080/a/b.crl?x=1#there"),
            (Url{"10.0.0.1", 8080, "/a/b.crl?x=1", false}));
  EXPECT_EQ(*parse_url("http://[2001:db8::1]:81/"), (Url{"2001:db8::1", 81, "/", true}));
  EXPECT_EQ(parse_url("http://h?q")->target, "/?q");
  for (const char* text : {"http://h/", "http://[::1]:81/x", "http://h:8080/x?y"}) {
    EXPECT_EQ(to_string(*parse_url(text)), text);
  }
}

TEST(Url, WhatIsRefused) {
  EXPECT_EQ(code("https://h/"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("ldap://h/cn=x"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("file:///etc/passwd"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(""), ErrorCode::kUnsupported);
  for (const char* bad :
       {"http://", "http://:80/", "http://u@h/", "http://u:p@h/", "http://h:0/", "http://h:65536/",
        "http://h:8x/", "http://[::1", "http://[::1]x/", "http://[h]/", "http://h h/",
        "http://h/\r\nX: y", "http://h/\x01", "http://h%00/", "http://h\x80/"}) {
    EXPECT_EQ(code(bad), ErrorCode::kMalformed) << bad;
  }
  EXPECT_EQ(code("http://h/" + std::string(2000, 'x')), ErrorCode::kLimit);
  EXPECT_EQ(code("http://" + std::string(300, 'x')), ErrorCode::kMalformed);
}

TEST(Url, Redirects) {
  const Url base = *parse_url("http://h:81/a/b?c");
  EXPECT_EQ(to_string(*resolve(base, "/x")), "http://h:81/x");
  EXPECT_EQ(to_string(*resolve(base, "x")), "http://h:81/a/x");
  EXPECT_EQ(to_string(*resolve(base, "//other/x")), "http://other/x");
  EXPECT_EQ(to_string(*resolve(base, "http://other:82/x")), "http://other:82/x");
  EXPECT_FALSE(resolve(base, "https://other/").ok());
  EXPECT_FALSE(resolve(base, "/x y").ok());
}

TEST(Request, GetAndPost) {
  const Url url = *parse_url("http://h:81/a?b");
  EXPECT_EQ(to_text(encode_request(url, {}, "")),
            "GET /a?b HTTP/1.1\r\nHost: h:81\r\nUser-Agent: espalier\r\nAccept: */*\r\n"
            "Connection: close\r\n\r\n");
  EXPECT_THAT(to_text(encode_request(url, as_bytes("body"), "application/ocsp-request")),
              ::testing::EndsWith("Connection: close\r\nContent-Type: application/ocsp-request\r\n"
                                  "Content-Length: 4\r\n\r\nbody"));
}

struct Read {
  Status status;
  bool done = false;
  unsigned code = 0;
  std::string body, location;
};

// Each way to cut the octets gives the same.
Read read(const std::string& text, std::size_t limit = 100, bool closed = false) {
  Read first;
  for (const std::size_t step : {text.size(), std::size_t{1}, std::size_t{7}}) {
    ResponseReader reader(limit);
    Read out;
    for (std::size_t at = 0; at < text.size() && out.status.ok(); at += step) {
      out.status = reader.take(as_bytes(std::string_view(text).substr(at, step)));
    }
    if (out.status.ok() && closed) out.status = reader.finish();
    out.done = reader.is_done();
    out.code = reader.status();
    out.body = to_text(reader.body());
    out.location = reader.location();
    if (step == text.size()) {
      first = out;
    } else {
      EXPECT_EQ(out.status.ok(), first.status.ok()) << text;
      EXPECT_EQ(out.done, first.done) << text;
      if (first.status.ok()) EXPECT_EQ(out.body, first.body);
    }
  }
  return first;
}

TEST(Response, WithALength) {
  const Read out = read("HTTP/1.1 200 OK\r\ncontent-LENGTH:  5 \r\nX: y\r\n\r\nhellorest");
  EXPECT_TRUE(out.done);
  EXPECT_EQ(out.code, 200u);
  EXPECT_EQ(out.body, "hello");
  EXPECT_TRUE(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").done);
  EXPECT_FALSE(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell").done);
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 100, true).status.error().code,
            ErrorCode::kTruncated);
}

TEST(Response, InChunksAndUntilTheEnd) {
  const Read chunked = read(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n"
      "0\r\nTrailer: x\r\n\r\n");
  EXPECT_TRUE(chunked.done);
  EXPECT_EQ(chunked.body, "hello0123456789");
  const Read open = read("HTTP/1.0 200 OK\n\nhello", 100, true);
  EXPECT_TRUE(open.done);
  EXPECT_EQ(open.body, "hello");
}

TEST(Response, InterimOnesAndRedirects) {
  EXPECT_EQ(read("HTTP/1.1 103 Early\r\nLocation: /no\r\n\r\nHTTP/1.1 200 OK\r\n"
                 "Content-Length: 1\r\n\r\nx")
                .body,
            "x");
  const Read moved =
      read("HTTP/1.1 302 Found\r\nLocation: http://h/x\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(moved.code, 302u);
  EXPECT_EQ(moved.location, "http://h/x");
}

TEST(Response, WhatIsRefused) {
  const auto refused = [](const std::string& text, std::size_t limit = 100) {
    const Read out = read(text, limit);
    EXPECT_FALSE(out.status.ok()) << text;
    return out.status.ok() ? ErrorCode::kInternal : out.status.error().code;
  };
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  EXPECT_EQ(refused("SSH-2.0-x\r\n\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused("HTTP/2 200\r\n\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused("HTTP/1.1 2x0 OK\r\n\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused(ok + "no colon\r\n\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused(ok + "Content-Length: -1\r\n\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused(ok + "Content-Length: 101\r\n\r\n"), ErrorCode::kLimit);
  EXPECT_EQ(refused(ok + "\r\n" + std::string(101, 'x')), ErrorCode::kLimit);
  EXPECT_EQ(refused(ok + "Transfer-Encoding: gzip\r\n\r\n"), ErrorCode::kUnsupported);
  EXPECT_EQ(refused(ok + "Content-Encoding: gzip\r\n\r\n"), ErrorCode::kUnsupported);
  const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(refused(chunked + "zz\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused(chunked + "FFFFFFFFFFFFFFFFF\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused(chunked + "1\r\nxy\r\n"), ErrorCode::kMalformed);
  EXPECT_EQ(refused(chunked + "ffffffffffffffff\r\n" + std::string(101, 'x')), ErrorCode::kLimit);
  EXPECT_EQ(refused(chunked + std::string(kMaxChunkLine + 1, '1')), ErrorCode::kLimit);
  EXPECT_EQ(refused(ok + std::string(kMaxHeadOctets, 'x')), ErrorCode::kLimit);
  std::string trailers = chunked + "0\r\n";
  for (int i = 0; i < 400; ++i) trailers += "Trailer: " + std::string(90, 'x') + "\r\n";
  EXPECT_EQ(refused(trailers), ErrorCode::kLimit);
}

}  // namespace
}  // namespace espalier::wire::http

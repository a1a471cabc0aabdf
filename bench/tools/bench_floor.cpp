// What the libraries alone take for a connection that has made its handshake and one request and is idle:
// libssl's server side over (empty) memory BIOs, or nghttp2's server session. What a server takes beyond is
// its own.
//   bench_floor tls|h2 --connections N [--certificate PEM --key PEM]      {"bytes": a connection}
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <fstream>
#include <iterator>
#include <string>

#include "net.h"

namespace bench {
namespace {

/// Private memory of this process, as compare.py reads that of the servers.
double own_bytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("Pss_Anon:")) return std::strtod(line.c_str() + 9, nullptr) * 1024;
  }
  die("no Pss_Anon in smaps_rollup");
}

class TlsFloor {
 public:
  TlsFloor(const std::string& certificate, const std::string& key)
      : server_(SSL_CTX_new(TLS_server_method())), client_(SSL_CTX_new(TLS_client_method())) {
    if (SSL_CTX_use_certificate_chain_file(server_, certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(server_, key.c_str(), SSL_FILETYPE_PEM) != 1)
      die("tls needs --certificate and --key");
    SSL_CTX_set_mode(server_, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(server_, SSL_SESS_CACHE_OFF);
  }

  void add() {
    SSL* server = SSL_new(server_);
    SSL* client = SSL_new(client_);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (SSL* ssl : {server, client}) SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    for (int turn = 0; turn < 4; ++turn) {
      SSL_do_handshake(client);
      carry(client, server);
      SSL_do_handshake(server);
      carry(server, client);
    }
    if (SSL_is_init_finished(server) != 1 || SSL_is_init_finished(client) != 1) die("no handshake");
    char byte = 'x';
    exchange(client, server, byte);
    exchange(server, client, byte);
    SSL_free(client);
    // The BIOs have grown with the handshake; that is not libssl's.
    SSL_set_bio(server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  }

 private:
  static void carry(SSL* from, SSL* to) {
    char buffer[16 * 1024];
    for (int got; (got = BIO_read(SSL_get_wbio(from), buffer, sizeof buffer)) > 0;)
      BIO_write(SSL_get_rbio(to), buffer, got);
  }
  static void exchange(SSL* from, SSL* to, char& byte) {
    SSL_write(from, &byte, 1);
    carry(from, to);
    if (SSL_read(to, &byte, 1) != 1) die("a byte is lost");
    SSL_read(to, &byte, 1);  // finds nothing more, and lets its buffer go
  }

  SSL_CTX* server_;
  SSL_CTX* client_;
};

class Http2Floor {
 public:
  Http2Floor() {
    nghttp2_session_callbacks_new(&callbacks_);
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks_, [](nghttp2_session* session, const nghttp2_frame* frame, void*) {
          if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
          // The fields that the gateway answers with here: they stay in the table of HPACK.
          const nghttp2_nv head[] = {field(":status", "200"),
                                     field("server", "bench"),
                                     field("date", "Tue, 24 Nov 2026 12:00:00 GMT"),
                                     field("content-type", "application/octet-stream"),
                                     field("content-length", "1024"),
                                     field("x-request-id", "0197b0d4-92f0-7c3e-b0a3-5d2f8c6e1a47"),
                                     field("x-served-by", "bench"),
                                     field("ratelimit-policy", "\"rate_limit\";q=1000000000;w=1"),
                                     field("ratelimit", "\"rate_limit\";r=999999999;t=1")};
          return nghttp2_submit_response(session, frame->hd.stream_id, head, std::size(head), nullptr);
        });
    nghttp2_session_callbacks_new(&no_callbacks_);
    nghttp2_option_new(&option_);
    nghttp2_option_set_no_closed_streams(option_, 1);
  }

  void add() {
    nghttp2_session* server = nullptr;
    nghttp2_session* client = nullptr;
    nghttp2_session_server_new2(&server, callbacks_, nullptr, option_);
    nghttp2_session_client_new(&client, no_callbacks_, nullptr);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 128}};
    nghttp2_submit_settings(server, NGHTTP2_FLAG_NONE, settings, 1);
    nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, nullptr, 0);
    const nghttp2_nv request[] = {field(":method", "GET"), field(":scheme", "http"), field(":path", "/1k"),
                                  field(":authority", "bench.test")};
    nghttp2_submit_request(client, nullptr, request, 4, nullptr, nullptr);
    for (int turn = 0; turn < 3; ++turn) {
      carry(client, server);
      carry(server, client);
    }
    nghttp2_session_del(client);
  }

 private:
  static nghttp2_nv field(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
      return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }
  static void carry(nghttp2_session* from, nghttp2_session* to) {
    const uint8_t* bytes = nullptr;
    for (ssize_t more; (more = nghttp2_session_mem_send(from, &bytes)) > 0;) {
      if (nghttp2_session_mem_recv(to, bytes, static_cast<size_t>(more)) < 0) die("HTTP/2 goes wrong");
    }
  }

  nghttp2_session_callbacks* callbacks_ = nullptr;
  nghttp2_session_callbacks* no_callbacks_ = nullptr;
  nghttp2_option* option_ = nullptr;
};

template <typename Floor>
void measure(Floor& floor, size_t connections) {
  for (int i = 0; i < 100; ++i) floor.add();
  const double before = own_bytes();
  for (size_t i = 0; i < connections; ++i) floor.add();
  std::printf("{\"bytes\": %.1f}\n", (own_bytes() - before) / static_cast<double>(connections));
}

int run(int argc, char** argv) {
  if (argc < 2) die("tls or h2?");
  const std::string_view what = argv[1];
  size_t connections = 10'000;
  std::string certificate;
  std::string key;
  for (Options options(argc - 1, argv + 1); options.next();) {
    if (options.name() == "--connections")
      connections = parse_number<size_t>(options.value());
    else if (options.name() == "--certificate")
      certificate = options.value();
    else if (options.name() == "--key")
      key = options.value();
    else
      options.unknown();
  }
  if (what == "tls") {
    TlsFloor floor(certificate, key);
    measure(floor, connections);
  } else if (what == "h2") {
    Http2Floor floor;
    measure(floor, connections);
  } else {
    die("tls or h2?");
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }

// Seeds that failed once, each with its reason: every run of several seeds ends with them.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::sim {

struct Regression {
  uint64_t seed;
  std::string_view why;
};

inline constexpr Regression kRegressions[] = {
    {646, "a 304 whose upstream then closes a connection that it did not say it would close"},
    {5078, "a try given up for its time that reached its upstream after the one in its place"},
    {755, "a client that resets right behind its request; its upstream stays silent"},
    {1283, "half a head, pipelined behind a request whose time runs out"},
    {3170, "input that was read before its event came let an idle connection sleep through the drain"},
    {10127, "an HTTP/1.0 answer that ends with its connection, and a request behind it"},
    {12158,
     "a kept connection idles from when a slow client has taken the answer, not from when it was written"},
    {15467, "a connection that was shed for want of descriptors just before its client knew that it stood"},
    {237,
     "over TLS an early answer's connection ended without close_notify: a cancelled wait before held it "
     "back"},
    {1000, "HTTP/2: a request that had not left and was given to another connection left all the same"},
    {1268, "a simulated HTTP/2 upstream that broke off within a call of its session went round for ever"},
    {3505, "a connection that had only settled its protocol counted as one that was used before"},
    {4876, "a request that a stall held back, beside HTTP/2: 408 is no wrong answer to it"},
    {5090, "a key that was taken away while its call was made, under a route of the configuration before"},
    {6893, "a client that stalls in a body behind an answer that ended its connection"},
    {7085, "a request that joined the opening of another one's connection had that one's time to connect"},
    {9475, "a reload while the inspector asks /readyz"},
    {9538, "a reload while the inspector looks at listeners"},
    {10864, "a pooled connection's time ran out just as the inspector counted"},
    {17003, "the last words of a TLS stream were still lent when the world ended"},
    {21039, "an upstream's noise came just as its connection was taken for a request"},
    {20887, "an event for bytes that had been read in the same turn woke an idle connection"},
};

}  // namespace sluice::sim

// What nearly every unit test reads, precompiled once: the standard library, GoogleTest and the gateway's
// fixtures.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "base/pch.h"
#include "gateway/gateway_fixture.h"
#include "gateway/upstream_fixture.h"

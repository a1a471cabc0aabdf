#include "policies/transform/rewrite/rewrite.h"

#include "gateway/exchange.h"
#include "http/path.h"

namespace sluice::policies {

const config::Struct<RewriteConfig>& RewriteConfig::schema() {
  static const auto schema =
      config::Struct<RewriteConfig>("rewrite", "Changes the path that the upstream sees; the query stays.")
          .field("path", &RewriteConfig::path,
                 "The new path; `{name}` is what the route's path parameter of that name held.")
          .required()
          .check([](const RewriteConfig& config, const config::Node& node, config::Reader& reader) {
            if (!config.path.starts_with('/')) reader.error(node, "invalid-path", "`path` starts with `/`");
            if (config.path.find_first_of("?# \\") != std::string::npos)
              reader.error(node, "invalid-path", "`path` is a path alone, without query, fragment or space");
            size_t open = config.path.rfind('{');
            if (open != std::string::npos && config.path.find('}', open) == std::string::npos)
              reader.error(node, "invalid-path", "`path` has a `{` without its `}`");
          });
  return schema;
}

Rewrite::Rewrite(const RewriteConfig& configured) {
  std::string_view rest = configured.path;
  while (!rest.empty()) {
    size_t open = rest.find('{');
    Part part;
    part.literal = rest.substr(0, open);
    if (open != std::string_view::npos) {
      size_t close = rest.find('}', open);
      part.parameter = rest.substr(open + 1, close - open - 1);
      rest.remove_prefix(close + 1);
    } else {
      rest = {};
    }
    parts_.push_back(std::move(part));
  }
}

gateway::Step Rewrite::on_request(gateway::Exchange& exchange) const {
  std::string_view path;
  for (const Part& part : parts_)
    path = exchange.arena.concat(
        path, part.literal, part.parameter.empty() ? std::string_view() : exchange.parameter(part.parameter));
  exchange.request.path = path;
  return gateway::Step::next();
}

const gateway::PolicyType& Rewrite::type() {
  static const gateway::PolicyType type{
      .name = "rewrite",
      .schema = &RewriteConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext&)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const Rewrite>(*static_cast<const RewriteConfig*>(config));
      },
  };
  return type;
}

}  // namespace sluice::policies

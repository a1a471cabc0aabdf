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
            auto parsed = gateway::PathTemplate::parse(config.path);
            if (!parsed) reader.error(node, "invalid-path", "`path`: " + parsed.error());
          });
  return schema;
}

gateway::Step Rewrite::on_request(gateway::Exchange& exchange) const {
  exchange.request.path = path_.fill(exchange);
  return gateway::Step::next();
}

const gateway::PolicyType& Rewrite::type() {
  static const gateway::PolicyType type{
      .name = "rewrite",
      .schema = &RewriteConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext&)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        auto path = gateway::PathTemplate::parse(static_cast<const RewriteConfig*>(config)->path);
        if (!path) return std::unexpected(path.error());
        return std::make_shared<const Rewrite>(std::move(*path));
      },
      .unfit_for = [](const void* config, std::span<const std::string> parameters) -> std::string {
        auto path = gateway::PathTemplate::parse(static_cast<const RewriteConfig*>(config)->path);
        std::string_view missing = path->missing_from(parameters);
        if (missing.empty()) return {};
        return "`path` names `{" + std::string(missing) + "}`, which the route's path has not";
      },
  };
  return type;
}

}  // namespace sluice::policies

#include "config/docs_table.h"

#include "config/document.h"
#include "config/json_schema.h"

namespace sluice::config {

namespace {

/// For a cell of a table: a bar would end it.
std::string cell(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string type_cell(const Field& field) {
  const Type& type = field.type();
  std::string text = cell(type.name());
  if (const StructBase* structure = type.structure()) {
    const std::string link =
        "[" + std::string(structure->struct_name()) + "](#" + std::string(structure->struct_name()) + ")";
    if (const auto at = text.find("object"); at != text.npos) text = text.replace(at, 6, link);
  }
  if (field.one_or_many) text += ", or one alone";
  return text;
}

std::string default_cell(const StructBase& type, const Field& field) {
  if (field.required) return "**required**";
  std::string value = default_json(type, field);
  if (value.size() > 1 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  return value.empty() ? "" : "`" + cell(value) + "`";
}

std::string meaning_cell(const Field& field) {
  std::string out = cell(field.doc);
  const Type& type = field.type();
  if (field.minimum && field.maximum && field.minimum != field.maximum)
    out += " From " + type.bound_text(*field.minimum) + " to " + type.bound_text(*field.maximum);
  else if (field.minimum && !field.maximum)
    out += " At least " + type.bound_text(*field.minimum);
  else if (!field.unit.empty())
    return out + " In " + std::string(field.unit) + ".";
  else
    return out;
  if (!field.unit.empty()) out += " " + std::string(field.unit);
  return out + ".";
}

/// The structs below one, each once, in the order in which they are met.
std::vector<const StructBase*> structs_below(const StructBase& root) {
  std::vector<const StructBase*> out{&root};
  for (size_t i = 0; i < out.size(); ++i)
    for (const Field& field : out[i]->fields())
      if (const StructBase* structure = field.type().structure();
          structure && std::ranges::find(out, structure) == out.end())
        out.push_back(structure);
  return out;
}

std::string policy_page(std::string_view name, const StructBase& type) {
  std::string out = "# Policy `" + std::string(name) + "`\n\n" + std::string(type.doc()) + "\n\n";
  if (!type.fields().empty()) out += docs_table(type) + "\n";
  out += "Beside these it takes what every policy takes:\n\n" + docs_table(PolicyCommon::schema());
  const auto below = structs_below(type);
  for (size_t i = 1; i < below.size(); ++i)
    out += "\n## " + std::string(below[i]->struct_name()) + "\n\n" + std::string(below[i]->doc()) + "\n\n" +
           docs_table(*below[i]);
  return out;
}

}  // namespace

std::string docs_table(const StructBase& type) {
  std::string out = "| Field | Type | Default | Meaning |\n| --- | --- | --- | --- |\n";
  for (const Field& field : type.fields())
    out += "| `" + std::string(field.name) + "` | " + type_cell(field) + " | " + default_cell(type, field) +
           " | " + meaning_cell(field) + " |\n";
  return out;
}

std::string docs_section(const StructBase& type, int level) {
  std::string out;
  for (const StructBase* below : structs_below(type)) {
    if (!out.empty()) out += '\n';
    out += std::string(static_cast<size_t>(level), '#') + " " + std::string(below->struct_name()) + "\n\n" +
           std::string(below->doc()) + "\n\n" + docs_table(*below);
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> reference_pages(const PolicyCatalog& catalog) {
  std::vector<std::pair<std::string, std::string>> pages;
  pages.emplace_back("configuration.md",
                     "# The configuration document\n\n"
                     "Made from the field lists in the source; every key that a document may have.\n\n" +
                         docs_section(Document::schema()));
  for (std::string_view name : catalog.names())
    if (const StructBase* type = catalog.find(name))
      pages.emplace_back("policy-" + std::string(name) + ".md", policy_page(name, *type));
  return pages;
}

}  // namespace sluice::config

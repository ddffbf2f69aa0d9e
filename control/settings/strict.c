/* SPDX-License-Identifier: Apache-2.0 */
/* Typed accessors over the tree, and messages that say what, where and what was expected. */
#include "control/settings/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_SHOWN 160
#define TEXT_MAX_SHOWN 48
#define LIST_MAX_SHOWN 320

bool yaml_ok(const struct yaml_doc *doc)
{
	return !doc->failed;
}

void yaml_path(const struct yaml_node *node, char *path, size_t size)
{
	const struct yaml_node *chain[YAML_DEPTH_MAX + 1];
	unsigned depth = 0;
	size_t at = 0;

	path[0] = '\0';
	for (; node != NULL && node->parent != NULL && depth <= YAML_DEPTH_MAX; node = node->parent)
		chain[depth++] = node;
	while (depth-- > 0 && at < size) {
		const struct yaml_node *step = chain[depth];
		if (step->key != NULL)
			at += (size_t)snprintf(path + at, size - at, "%s%.64s", at > 0 ? "." : "", step->key);
		else
			at += (size_t)snprintf(path + at, size - at, "[%u]", step->index);
	}
}

/* Foreign text in a message must not move a terminal's cursor or fake a line. */
static void defuse(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void yaml_shown(const struct yaml_node *node, char *text, size_t size)
{
	if (node == NULL || (node->kind == YAML_SCALAR && node->len == 0 && !node->quoted))
		snprintf(text, size, "nothing");
	else if (node->kind == YAML_LIST)
		snprintf(text, size, "a list");
	else if (node->kind == YAML_MAP)
		snprintf(text, size, "a mapping");
	else
		snprintf(text, size, "%c%.*s%s%c", node->quoted ? '"' : '\'', TEXT_MAX_SHOWN, node->text,
		    node->len > TEXT_MAX_SHOWN ? "…" : "", node->quoted ? '"' : '\'');
	defuse(text);
}

static void fail_v(struct yaml_doc *doc, const struct yaml_node *node, uint32_t line, uint32_t column,
    const char *format, va_list args)
{
	char path[PATH_MAX_SHOWN];
	char text[YAML_MESSAGE_MAX - YAML_NAME_MAX - PATH_MAX_SHOWN - 32];

	if (doc->failed)
		return;
	doc->failed = true;
	doc->error_line = line;
	doc->error_column = column;
	vsnprintf(text, sizeof(text), format, args);
	yaml_path(node, path, sizeof(path));
	if (line == 0)
		snprintf(doc->error, sizeof(doc->error), "%s: %s", doc->name, text);
	else
		snprintf(doc->error, sizeof(doc->error), "%s:%u:%u: %s%s%s", doc->name, line, column, path,
		    path[0] != '\0' ? ": " : "", text);
	defuse(doc->error);
}

bool yaml_fail(struct yaml_doc *doc, const struct yaml_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_v(doc, node, node == NULL ? 0 : node->line, node == NULL ? 0 : node->column, format, args);
	va_end(args);
	return false;
}

/* About a key of `map`: at the key's place, with the map's path. */
static bool fail_key(struct yaml_doc *doc, const struct yaml_node *map, const struct yaml_node *child,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
static bool fail_key(
    struct yaml_doc *doc, const struct yaml_node *map, const struct yaml_node *child, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_v(doc, map, child->key_line, child->key_column, format, args);
	va_end(args);
	return false;
}

static bool listed(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void join(const char *const *names, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; names[i] != NULL && at < size; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? ", " : "", names[i]);
}

bool yaml_map(
    struct yaml_doc *doc, const struct yaml_node *node, const char *const *keys, const char *const *later)
{
	char found[TEXT_MAX_SHOWN + 16], expected[LIST_MAX_SHOWN];

	if (doc->failed || node == NULL)
		return false;
	join(keys, expected, sizeof(expected));
	if (node->kind != YAML_MAP) {
		yaml_shown(node, found, sizeof(found));
		return yaml_fail(
		    doc, node, "expected a mapping with keys out of %s; found %s", expected, found);
	}
	for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
		if (listed(keys, child->key))
			continue;
		if (listed(later, child->key))
			return fail_key(doc, node, child, "'%.64s' is not in this version", child->key);
		return fail_key(
		    doc, node, child, "unknown key '%.64s'; expected one of %s", child->key, expected);
	}
	return true;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (map == NULL || map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml_node *child = map->first; child != NULL; child = child->next)
		if (strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

const struct yaml_node *yaml_need(struct yaml_doc *doc, const struct yaml_node *map, const char *key)
{
	const struct yaml_node *child = yaml_get(map, key);

	if (child == NULL && map != NULL)
		yaml_fail(doc, map, "missing key '%s'", key);
	return child;
}

bool yaml_list(struct yaml_doc *doc, const struct yaml_node *node, uint32_t min, uint32_t max)
{
	char found[TEXT_MAX_SHOWN + 16];

	if (doc->failed || node == NULL)
		return false;
	if (node->kind != YAML_LIST) {
		yaml_shown(node, found, sizeof(found));
		return yaml_fail(doc, node, "expected a list; found %s", found);
	}
	if (node->count < min)
		return yaml_fail(doc, node, "expected at least %u item%s; found %u", min, min == 1 ? "" : "s",
		    node->count);
	if (node->count > max)
		return yaml_fail(
		    doc, node, "expected at most %u item%s; found %u", max, max == 1 ? "" : "s", node->count);
	return true;
}

const struct yaml_node *yaml_first_item(const struct yaml_node *node)
{
	if (node == NULL || node->kind != YAML_LIST)
		return node;
	return node->first;
}

const struct yaml_node *yaml_next_item(const struct yaml_node *list, const struct yaml_node *item)
{
	return list != NULL && list->kind == YAML_LIST && item != NULL ? item->next : NULL;
}

static bool wrong_type(struct yaml_doc *doc, const struct yaml_node *node, const char *expected)
{
	char found[TEXT_MAX_SHOWN + 16];

	yaml_shown(node, found, sizeof(found));
	return yaml_fail(doc, node, "expected %s; found %s", expected, found);
}

static bool absent(const struct yaml_doc *doc, const struct yaml_node *node)
{
	return doc->failed || node == NULL;
}

bool yaml_text(struct yaml_doc *doc, const struct yaml_node *node, size_t max, const char **value)
{
	if (absent(doc, node))
		return false;
	if (node->kind != YAML_SCALAR || node->len == 0)
		return wrong_type(doc, node, "text");
	if (node->len > max)
		return yaml_fail(doc, node, "text of %zu bytes is too long; at most %zu", node->len, max);
	*value = node->text;
	return true;
}

/* Digits only, without sign, space or leading zero (which elsewhere would mean octal). */
static bool parse_digits(const char *text, size_t len, uint64_t *value)
{
	*value = 0;
	if (len == 0 || len > 20 || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(text[i] - '0');
		if (digit > 9 || __builtin_mul_overflow(*value, 10u, value) ||
		    __builtin_add_overflow(*value, digit, value))
			return false;
	}
	return true;
}

bool yaml_u64(struct yaml_doc *doc, const struct yaml_node *node, uint64_t min, uint64_t max, uint64_t *value)
{
	char expected[96];
	uint64_t v;

	if (absent(doc, node))
		return false;
	snprintf(expected, sizeof(expected), "a whole number from %llu to %llu", (unsigned long long)min,
	    (unsigned long long)max);
	if (node->kind != YAML_SCALAR || node->quoted || !parse_digits(node->text, node->len, &v) ||
	    v < min || v > max)
		return wrong_type(doc, node, expected);
	*value = v;
	return true;
}

bool yaml_u32(struct yaml_doc *doc, const struct yaml_node *node, uint32_t min, uint32_t max, uint32_t *value)
{
	uint64_t wide = 0;

	if (!yaml_u64(doc, node, min, max, &wide))
		return false;
	*value = (uint32_t)wide;
	return true;
}

bool yaml_bool(struct yaml_doc *doc, const struct yaml_node *node, bool *value)
{
	if (absent(doc, node))
		return false;
	bool yes = node->kind == YAML_SCALAR && !node->quoted && strcmp(node->text, "true") == 0;
	bool no = node->kind == YAML_SCALAR && !node->quoted && strcmp(node->text, "false") == 0;
	if (!yes && !no)
		return wrong_type(doc, node, "true or false");
	*value = yes;
	return true;
}

bool yaml_choice(struct yaml_doc *doc, const struct yaml_node *node, const char *const *names,
    const char *const *later, unsigned *value)
{
	char expected[LIST_MAX_SHOWN], text[LIST_MAX_SHOWN + 16];

	if (absent(doc, node))
		return false;
	for (unsigned i = 0; node->kind == YAML_SCALAR && names[i] != NULL; i++)
		if (strcmp(names[i], node->text) == 0) {
			*value = i;
			return true;
		}
	if (node->kind == YAML_SCALAR && listed(later, node->text))
		return yaml_fail(doc, node, "'%.64s' is not in this version", node->text);
	join(names, expected, sizeof(expected));
	snprintf(text, sizeof(text), "one of %s", expected);
	return wrong_type(doc, node, text);
}

/* A time as it is best read, in the largest unit that it is whole in. */
static const char *written_time(uint64_t ms, char text[32])
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ms >= units[i].ms && ms % units[i].ms == 0) {
			snprintf(text, 32, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].name);
			return text;
		}
	snprintf(text, 32, "%llu%s", (unsigned long long)ms, ms == 0 ? "s" : "ms");
	return text;
}

bool yaml_duration(
    struct yaml_doc *doc, const struct yaml_node *node, uint64_t min_ms, uint64_t max_ms, uint64_t *value_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	char expected[128], least[32], most[32];

	if (absent(doc, node))
		return false;
	size_t digits = node->kind == YAML_SCALAR ? strspn(node->text, "0123456789") : 0;
	for (size_t i = 0; digits > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t v;
		if (strcmp(node->text + digits, units[i].name) != 0 ||
		    !parse_digits(node->text, digits, &v) || __builtin_mul_overflow(v, units[i].ms, &v) ||
		    v < min_ms || v > max_ms)
			continue;
		*value_ms = v;
		return true;
	}
	snprintf(expected, sizeof(expected), "a time with its unit (ms, s, m, h, d), from %s to %s",
	    written_time(min_ms, least), written_time(max_ms, most));
	return wrong_type(doc, node, expected);
}

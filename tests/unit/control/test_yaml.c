/* SPDX-License-Identifier: Apache-2.0 */
/* Strict YAML: what is accepted, and that each refusal says where it is and what was expected. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/settings/yaml.h"

static bool parse(struct yaml_doc *doc, const char *text)
{
	return yaml_parse(doc, "policy.yaml", text, strlen(text));
}

Test(yaml, tree_has_places_and_order)
{
	struct yaml_doc doc;
	cr_assert(
	    parse(&doc, "default: allow\nrules:\n  - {name: a, match: {dst_port: 22}}\n  - name: 'b'\n"));
	const struct yaml_node *rules = yaml_get(doc.root, "rules");
	cr_assert(rules != NULL && rules->kind == YAML_LIST && rules->count == 2);
	const struct yaml_node *second = rules->first->next;
	cr_assert_eq(second->line, 4);
	cr_assert_eq(second->column, 5);
	cr_assert(yaml_get(second, "name")->quoted);
	char path[64];
	yaml_path(yaml_get(yaml_get(rules->first, "match"), "dst_port"), path, sizeof(path));
	cr_assert_str_eq(path, "rules[0].match.dst_port");
	yaml_doc_free(&doc);
}

static const struct {
	const char *text, *error;
} refused_texts[] = {
    {"", "policy.yaml: there is nothing in it"},
    {"a: 1\nb: 2\na: 3\n", "policy.yaml:3:1: duplicate key 'a': it stands on line 1 already"},
    {"a: &x 1\n", "policy.yaml:1:4: anchors"},
    {"a: [*x]\n", "policy.yaml:1:5: anchors"},
    {"a: !!str 1\n", "policy.yaml:1:4: anchors"},
    {"a: 1\n---\nb: 1\n", "policy.yaml:2:1: a second document"},
    {"{[a]: 1}\n", "policy.yaml:1:2: a key must be a plain word"},
    {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "policy.yaml:1:17: nested too deeply"},
    {"a: \"x\\0y\"\n", "policy.yaml:1:4: a NUL"},
    {"a: [1\n", "policy.yaml:2:1: not YAML:"},
    {"a:\n\t- 1\n", "policy.yaml:2:1: not YAML: (is there a tab? YAML is indented by spaces)"},
    {"a: \xff\n", "policy.yaml: byte 3: invalid leading UTF-8 octet"},
};

Test(yaml, texts_that_are_refused)
{
	for (size_t i = 0; i < sizeof(refused_texts) / sizeof(refused_texts[0]); i++) {
		struct yaml_doc doc;
		cr_expect_not(parse(&doc, refused_texts[i].text), "case %zu was accepted", i);
		cr_expect(strncmp(doc.error, refused_texts[i].error, strlen(refused_texts[i].error)) == 0,
		    "case %zu: expected \"%s…\", got \"%s\"", i, refused_texts[i].error, doc.error);
		cr_expect_null(doc.root);
		yaml_doc_free(&doc);
	}
}

Test(yaml, too_many_keys_and_too_long)
{
	struct yaml_doc doc;
	size_t at = 0, room = (YAML_KEYS_MAX + 2) * 16;
	char *text = malloc(room);
	for (unsigned i = 0; i <= YAML_KEYS_MAX; i++)
		at += (size_t)snprintf(text + at, room - at, "k%u: 1\n", i);
	cr_expect_not(parse(&doc, text));
	cr_expect(strstr(doc.error, "too many keys") != NULL, "got %s", doc.error);
	yaml_doc_free(&doc);
	free(text);
	char *big = calloc(1, YAML_TEXT_MAX + 1);
	cr_expect_not(yaml_parse(&doc, "x", big, YAML_TEXT_MAX + 1));
	cr_expect(strstr(doc.error, "are too many") != NULL, "got %s", doc.error);
	yaml_doc_free(&doc);
	free(big);
}

static const char *const keys[] = {"n", "b", "t", "c", "d", "l", "m", NULL};
static const char *const later[] = {"future", NULL};
static const char *const choices[] = {"drop", "reset", NULL};
static const char *const choices_later[] = {"mirror", NULL};

/* Reads every kind of value there is. */
static void read_all(struct yaml_doc *doc)
{
	uint32_t n;
	uint64_t d;
	bool b;
	const char *t;
	unsigned c;

	yaml_map(doc, doc->root, keys, later);
	yaml_u32(doc, yaml_get(doc->root, "n"), 1, 100, &n);
	yaml_bool(doc, yaml_get(doc->root, "b"), &b);
	yaml_text(doc, yaml_get(doc->root, "t"), 4, &t);
	yaml_choice(doc, yaml_get(doc->root, "c"), choices, choices_later, &c);
	yaml_duration(doc, yaml_get(doc->root, "d"), 1000, 3600000, &d);
	yaml_list(doc, yaml_get(doc->root, "l"), 1, 2);
	yaml_map(doc, yaml_get(doc->root, "m"), keys, NULL);
	if (yaml_get(doc->root, "m") != NULL)
		yaml_need(doc, yaml_get(doc->root, "m"), "n");
}

static const struct {
	const char *text, *error; /* NULL: good */
} values[] = {
    {"n: 1", NULL},
    {"n: 100", NULL},
    {"n: 0", "f:1:4: n: expected a whole number from 1 to 100; found '0'"},
    {"n: 101", "f:1:4: n: expected a whole number from 1 to 100; found '101'"},
    {"n: -1", "f:1:4: n: expected a whole number from 1 to 100; found '-1'"},
    {"n: 010", "f:1:4: n: expected a whole number from 1 to 100; found '010'"},
    {"n: 0x10", "f:1:4: n: expected a whole number from 1 to 100; found '0x10'"},
    {"n: 1.0", "f:1:4: n: expected a whole number from 1 to 100; found '1.0'"},
    {"n: \"7\"", "f:1:4: n: expected a whole number from 1 to 100; found \"7\""},
    {"n: 18446744073709551617",
        "f:1:4: n: expected a whole number from 1 to 100; found '18446744073709551617'"},
    {"n:", "f:1:3: n: expected a whole number from 1 to 100; found nothing"},
    {"n: [1]", "f:1:4: n: expected a whole number from 1 to 100; found a list"},
    {"b: true", NULL},
    {"b: yes", "f:1:4: b: expected true or false; found 'yes'"},
    {"b: \"true\"", "f:1:4: b: expected true or false; found \"true\""},
    {"t: abcd", NULL},
    {"t: abcde", "f:1:4: t: text of 5 bytes is too long; at most 4"},
    {"t: {a: 1}", "f:1:4: t: expected text; found a mapping"},
    {"t: ''", "f:1:4: t: expected text; found \"\""},
    {"c: reset", NULL},
    {"c: mirror", "f:1:4: c: 'mirror' is not in this version"},
    {"c: rst", "f:1:4: c: expected one of drop, reset; found 'rst'"},
    {"c: \"a\\nb\\e[2J\"", "f:1:4: c: expected one of drop, reset; found \"a?b?[2J\""},
    {"d: 1s", NULL},
    {"d: 1h", NULL},
    {"d: 1000ms", NULL},
    {"d: 10", "f:1:4: d: expected a time with its unit (ms, s, m, h, d), from 1s to 1h; found '10'"},
    {"d: 2h", "f:1:4: d: expected a time with its unit (ms, s, m, h, d), from 1s to 1h; found '2h'"},
    {"d: s", "f:1:4: d: expected a time with its unit (ms, s, m, h, d), from 1s to 1h; found 's'"},
    {"l: [1, 2]", NULL},
    {"l: []", "f:1:4: l: expected at least 1 item; found 0"},
    {"l: [1, 2, 3]", "f:1:4: l: expected at most 2 items; found 3"},
    {"l: 1", "f:1:4: l: expected a list; found '1'"},
    {"m: {n: 1}", NULL},
    {"m: {b: true}", "f:1:4: m: missing key 'n'"},
    {"m:\n  n: 1\n  dst_prt: 3", "f:3:3: m: unknown key 'dst_prt'; expected one of n, b, t, c, d, l, m"},
    {"future: 1", "f:1:1: 'future' is not in this version"},
    {"[1]", "f:1:1: expected a mapping with keys out of n, b, t, c, d, l, m; found a list"},
};

Test(yaml, values)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct yaml_doc doc;
		cr_expect(yaml_parse(&doc, "f", values[i].text, strlen(values[i].text)), "%s", doc.error);
		read_all(&doc);
		const char *got = yaml_ok(&doc) ? "OK" : doc.error;
		const char *expected = values[i].error == NULL ? "OK" : values[i].error;
		cr_expect_str_eq(
		    got, expected, "\"%s\": expected \"%s\", got \"%s\"", values[i].text, expected, got);
		yaml_doc_free(&doc);
	}
}

Test(yaml, results)
{
	struct yaml_doc doc;
	uint32_t n = 7;
	uint64_t d = 0, wide = 0;
	const char *t = NULL;
	unsigned c = 9;
	bool b = false;

	cr_assert(parse(&doc, "{n: 42, d: 2m, t: 'x: y', c: reset, b: true, w: 18446744073709551615}"));
	cr_expect(yaml_u32(&doc, yaml_get(doc.root, "n"), 0, UINT32_MAX, &n));
	cr_expect_eq(n, 42);
	cr_expect_not(yaml_u32(&doc, yaml_get(doc.root, "absent"), 0, 1, &n));
	cr_expect_eq(n, 42);
	cr_expect(yaml_ok(&doc));
	cr_expect(yaml_duration(&doc, yaml_get(doc.root, "d"), 0, 1000000, &d));
	cr_expect_eq(d, 120000);
	cr_expect(yaml_text(&doc, yaml_get(doc.root, "t"), 10, &t));
	cr_expect_str_eq(t, "x: y");
	cr_expect(yaml_choice(&doc, yaml_get(doc.root, "c"), choices, NULL, &c));
	cr_expect_eq(c, 1);
	cr_expect(yaml_bool(&doc, yaml_get(doc.root, "b"), &b) && b);
	cr_expect(yaml_u64(&doc, yaml_get(doc.root, "w"), 0, UINT64_MAX, &wide) && wide == UINT64_MAX);
	/* The first error stays. */
	cr_expect_not(yaml_fail(&doc, NULL, "first"));
	cr_expect_not(yaml_fail(&doc, NULL, "second"));
	cr_expect_str_eq(doc.error, "policy.yaml: first");
	cr_expect_not(yaml_u32(&doc, yaml_get(doc.root, "n"), 0, UINT32_MAX, &n));
	yaml_doc_free(&doc);
}

Test(yaml, one_stands_for_a_list_of_one)
{
	struct yaml_doc doc;
	cr_assert(parse(&doc, "{a: 1, b: [1, 2, 3], c: []}"));
	static const struct {
		const char *key;
		unsigned items;
	} cases[] = {{"a", 1}, {"b", 3}, {"c", 0}, {"none", 0}};
	for (size_t i = 0; i < 4; i++) {
		unsigned items = 0;
		const struct yaml_node *list = yaml_get(doc.root, cases[i].key);
		for (const struct yaml_node *at = yaml_first_item(list); at != NULL;
		     at = yaml_next_item(list, at))
			items++;
		cr_expect_eq(
		    items, cases[i].items, "%s: expected %u, got %u", cases[i].key, cases[i].items, items);
	}
	yaml_doc_free(&doc);
}

Test(yaml, files)
{
	struct yaml_doc doc;
	char path[] = "/tmp/reeve-yaml-XXXXXX";
	int fd = mkstemp(path);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, "a: 1\n", 5), 5);
	close(fd);
	cr_expect(yaml_parse_file(&doc, path), "%s", doc.error);
	yaml_doc_free(&doc);
	unlink(path);
	cr_expect_not(yaml_parse_file(&doc, path));
	cr_expect(strstr(doc.error, "cannot read it: No such file") != NULL, "got %s", doc.error);
	yaml_doc_free(&doc);
}

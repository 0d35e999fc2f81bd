package firewall

import (
	"encoding/json"
	"strconv"
	"strings"
)

// JudgeLegacy is Judge for the rules of the kernel's older filter, as iptables-legacy-save
// and, with six, ip6tables-legacy-save write them. nft does not list those, and both filters
// must let a packet in.
func JudgeLegacy(saved []byte, six bool, iface string, doors []Door) []Drop {
	w := newWalls(legacy(string(saved), six))

	var shut []Drop

	for _, door := range doors {
		for _, base := range w.bases {
			p := packet{door: door, iface: iface}
			if by := w.enter(&p, base); by != "" {
				shut = append(shut, Drop{door, "iptables-legacy, " + by})

				break
			}
		}
	}

	return shut
}

// legacy reads what was saved as if nft had listed it.
func legacy(saved string, six bool) (items []item) {
	at := place{Family: "ip"}
	if six {
		at.Family = "ip6"
	}

	for n, line := range strings.Split(saved, "\n") {
		words := fields(line)

		switch {
		case len(words) == 0:
		case words[0][0] == '*':
			at.Table = words[0][1:]
		case words[0][0] == ':' && len(words) > 1:
			c := chain{place: at, Name: words[0][1:], Policy: strings.ToLower(words[1])}
			// That of nat is for translation; what it drops is not for it to say.
			if hook := strings.ToLower(c.Name); (hook == "input" || hook == "prerouting") && at.Table != "nat" {
				c.Type, c.Hook = "filter", hook
			}

			items = append(items, item{Chain: &c})
		case words[0] == "-A" && len(words) > 1:
			items = append(items, item{Rule: &rule{place: at, Chain: words[1], Handle: n + 1, Expr: expressions(words[2:])}})
		}
	}

	return items
}

// fields parts a line at blanks, but for those between quotation marks.
func fields(line string) (words []string) {
	quoted := false

	for _, word := range strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}

		return r == ' ' && !quoted
	}) {
		words = append(words, strings.Trim(word, `"`))
	}

	return words
}

// expressions are the matches of a rule, and what it does. A match that is not known may
// hold or not.
func expressions(words []string) (all []map[string]json.RawMessage) {
	protocol, not := "", false

	add := func(kind string, body any) {
		raw, err := json.Marshal(body)
		if err == nil {
			all = append(all, map[string]json.RawMessage{kind: raw})
		}

		not = false // it was for this one alone
	}
	match := func(left, key, field string, right any) {
		op := "=="
		if not {
			op = "!="
		}

		inner := map[string]string{"key": key}
		if left == "payload" {
			inner = map[string]string{"protocol": key, "field": field}
		}

		add("match", map[string]any{"op": op, "left": map[string]any{left: inner}, "right": right})
	}

	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}

		switch words[i] {
		case "!":
			not = true
		case "-i", "--in-interface":
			match("meta", "iifname", "", wild(next))
		case "-p", "--protocol":
			protocol = next
			match("meta", "l4proto", "", next)
		case "--dport", "--dports":
			match("payload", protocol, "dport", ports(next))
		case "--ctstate", "--state":
			match("ct", "state", "", map[string]any{"set": strings.Split(strings.ToLower(next), ",")})
		case "-m", "--comment", "--reject-with": // what follows says which module, or nothing that parts packets
		case "-j", "-g":
			all = append(all, target(words[i], next))

			return all
		default:
			add("unknown", words[i])

			continue
		}

		if words[i] != "!" {
			i++
		}
	}

	return all
}

// target is what a rule does.
func target(how, name string) map[string]json.RawMessage {
	word := strings.ToLower(name)

	switch name {
	case "ACCEPT", "DROP", "REJECT", "RETURN", "LOG":
		return map[string]json.RawMessage{word: nil}
	}

	kind := "jump"
	if how == "-g" {
		kind = "goto"
	}

	body, err := json.Marshal(map[string]string{"target": name})
	if err != nil {
		return map[string]json.RawMessage{"accept": nil}
	}

	return map[string]json.RawMessage{kind: body}
}

// wild writes the name of a card as nft does: eth+ is eth*.
func wild(name string) string {
	if base, ok := strings.CutSuffix(name, "+"); ok {
		return base + "*"
	}

	return name
}

// ports reads 67, 67:69 and lists of those.
func ports(text string) any {
	set := make([]any, 0, 1)

	for one := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(one, ":")
		from, err := strconv.ParseUint(low, 10, 16)

		if !ranged {
			high = low
		}

		to, err2 := strconv.ParseUint(high, 10, 16)

		switch {
		case err != nil || err2 != nil: // a name out of /etc/services
			return map[string]any{"unknown": text}
		case from == to:
			set = append(set, from)
		default:
			set = append(set, map[string]any{"range": []uint64{from, to}})
		}
	}

	return map[string]any{"set": set}
}

package baseline

import (
	"cmp"
	"strings"
	"time"
)

// maxVersion bounds what is compared: no vendor writes more, and a machine under
// test may say anything.
const maxVersion = 256

// Compare puts two versions of the same firmware in order: -1 where a is the older,
// 0 where they are the same, 1 where a is the newer. ok is false where the order
// cannot be told: forms that differ, names of families and builds that are not
// numbers, and codes that differ in more than their last number.
//
// Both are split into fields at blanks, commas, slashes and brackets; the first field
// that differs decides. Known are dotted numbers of any length ("2.19.1", "01.73.14"),
// numbers behind the same letters ("HPD8", "F.12", "v2.42", "FFV21.80.9"), codes that
// differ in their last number ("GDC5602Q"), hexadecimal revisions ("0x2006e05"), dates
// (2021-07-09, 07/09/2021), and numbers of two hexadecimal digits ("94.02.71.00.0A").
func Compare(a, b string) (order int, ok bool) {
	if len(a) > maxVersion || len(b) > maxVersion {
		return 0, a == b
	}

	if a, b = plain(a), plain(b); a == b {
		return 0, a != ""
	}

	if x, y := date(a), date(b); !x.IsZero() && !y.IsZero() {
		return x.Compare(y), true
	}

	if !date(a).IsZero() || !date(b).IsZero() {
		return 0, false
	}

	as, bs := fields(a), fields(b)
	if len(as) != len(bs) {
		return 0, false
	}

	for i := range as {
		if order, ok := compareField(as[i], bs[i]); order != 0 || !ok {
			return order, ok
		}
	}

	return 0, true
}

// plain takes what does not count out of a version: case, and blanks around it.
func plain(version string) string { return strings.ToLower(strings.TrimSpace(version)) }

// date reads a date in the two forms that vendors date firmware by; zero: it is none.
func date(text string) time.Time {
	for _, form := range []string{"2006-01-02", "01/02/2006"} {
		if day, err := time.Parse(form, text); err == nil {
			return day
		}
	}

	return time.Time{}
}

func fields(version string) []string {
	return strings.FieldsFunc(version, func(r rune) bool { return strings.ContainsRune(" \t,/()[]", r) })
}

// compareField compares one field of two versions.
func compareField(a, b string) (order int, ok bool) {
	switch {
	case a == b:
		return 0, true
	case strings.HasPrefix(a, "0x") || strings.HasPrefix(b, "0x"):
		return compareRevision(a, b)
	case family(a) || family(b) || board(a) || board(b):
		return 0, false
	case len(a) == len(b) && pairs(a) && pairs(b) && hasLetter(a+b):
		return strings.Compare(a, b), true // digits come before letters
	default:
		return compareTokens(tokens(a), tokens(b))
	}
}

// family reports whether a field names a family of ROMs: HPE writes "U30 v2.42", and
// U30 and U32 are for different machines.
func family(field string) bool {
	return len(field) == 3 && kindOf(field[0]) == letters && kindOf(field[1]) == number && kindOf(field[2]) == number
}

// compareRevision compares two hexadecimal numbers. Those with the top bit of 32 set
// are names of builds (the eetrack of Intel's NICs) or test versions of microcode,
// whose number is signed (Intel SDM vol. 3 §11.11.1): they have no order.
func compareRevision(a, b string) (order int, ok bool) {
	x, okA := revision(a)
	y, okB := revision(b)

	switch {
	case !okA || !okB:
		return 0, false
	case x == y:
		return 0, true
	case x>>31 != 0 || y>>31 != 0:
		return 0, false
	default:
		return cmp.Compare(x, y), true
	}
}

func revision(text string) (n uint32, ok bool) {
	digits, isHex := strings.CutPrefix(text, "0x")
	digits = strings.TrimLeft(digits, "0")

	if !isHex || len(text) == len("0x") || len(digits) > 8 {
		return 0, false
	}

	for _, r := range digits {
		d := strings.IndexRune("0123456789abcdef", r)
		if d < 0 {
			return 0, false
		}

		n = n<<4 | uint32(d)
	}

	return n, true
}

// board reports whether a field names the board that firmware is for, as Mellanox
// does (the PSID: letters and ten digits, "MT_0000000359", "DEL0000000004").
func board(field string) bool {
	const digits = 10

	name := strings.TrimRight(field, "0123456789")

	return len(field)-len(name) == digits && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// pairs reports whether a field is made of dotted numbers of two hexadecimal digits
// each, as the vBIOS of GPUs has them ("94.02.71.00.0A"), or of letters and one such
// number, as HP's notebooks have ("F.1A").
func pairs(text string) bool {
	groups := strings.Split(text, ".")
	for i, group := range groups {
		named := i == 0 && len(groups) == 2 && len(group) == 1 && kindOf(group[0]) == letters
		if !named && (len(group) != 2 || strings.Trim(group, "0123456789abcdef") != "") {
			return false
		}
	}

	return len(groups) > 1
}

func hasLetter(text string) bool { return strings.ContainsAny(text, "abcdef") }

// kind tells what a token is made of.
type kind int

const (
	number kind = iota
	letters
	separator
)

type token struct {
	kind kind
	text string // a number without its leading zeros
	wide int    // digits of a number as written
}

func kindOf(c byte) kind {
	switch {
	case '0' <= c && c <= '9':
		return number
	case strings.IndexByte(".-_:+;=#", c) >= 0:
		return separator
	default:
		return letters
	}
}

// tokens cuts a field into numbers, letters and what stands between.
func tokens(field string) (list []token) {
	for start := 0; start < len(field); {
		end, k := start+1, kindOf(field[start])
		for end < len(field) && k != separator && kindOf(field[end]) == k {
			end++
		}

		t := token{kind: k, text: field[start:end], wide: end - start}
		if k == number {
			t.text = strings.TrimLeft(t.text, "0")
		}

		list = append(list, t)
		start = end
	}

	return list
}

// compareTokens compares two fields token by token. The shorter of two dotted
// numbers is taken to go on with zeros.
func compareTokens(a, b []token) (order int, ok bool) {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]

		switch {
		case x.kind == y.kind && x.text == y.text:
		case x.kind == number && y.kind == number && dotted(a, i) && dotted(b, i):
			return compareNumber(x, y), true
		case x.kind == number && y.kind == number:
			return compareCode(a, b, i)
		case suffix(a, i) && suffix(b, i):
			return strings.Compare(x.text, y.text), true // 3.2a, 3.2b
		default:
			return 0, false
		}
	}

	if len(a) > n {
		return longer(a, n)
	}

	order, ok = longer(b, n)

	return -order, ok
}

// dotted reports whether the number at i stands for itself: a dot, a dash or the like
// follows, or the end, or after a dot one or two letters behind which there is nothing
// more. With more of them it may be the head of a number in hexadecimal, or of a digest.
func dotted(list []token, i int) bool {
	const few = 2

	return i+1 >= len(list) || list[i+1].kind == separator || i > 0 && list[i-1].kind == separator && i+2 == len(list) && list[i+1].wide <= few
}

// suffix reports whether the token at i is one letter behind a number, at the end.
func suffix(list []token, i int) bool {
	return i > 1 && i+1 == len(list) && list[i].kind == letters && list[i].wide == 1 && list[i-1].kind == number && list[i-2].kind == separator
}

// compareCode compares two codes without dots, such as the firmware of disks, which
// differ in the number at i: it must be the last one and as wide in both, and all that
// follows must be the same. Of 3B2QGXA7 and 5B2QGXA7 nobody can say what the 3 counts.
func compareCode(a, b []token, i int) (order int, ok bool) {
	if len(a) != len(b) || a[i].wide != b[i].wide {
		return 0, false
	}

	for j := i + 1; j < len(a); j++ {
		if a[j] != b[j] || a[j].kind == number {
			return 0, false
		}
	}

	return compareNumber(a[i], b[i]), true
}

// compareNumber compares numbers of any length, without leading zeros.
func compareNumber(a, b token) int {
	return cmp.Or(cmp.Compare(len(a.text), len(b.text)), strings.Compare(a.text, b.text))
}

// longer says how a version of more than n tokens stands to one that ends there: it is
// newer where dotted numbers follow, and the same where they are all zero.
func longer(list []token, n int) (order int, ok bool) {
	rest := list[n:]
	if len(rest) == 0 || n == 0 || list[n-1].kind != number || len(rest)%2 != 0 {
		return 0, len(rest) == 0
	}

	for i := 0; i < len(rest); i += 2 {
		if rest[i].text != "." || rest[i+1].kind != number {
			return 0, false
		}

		if rest[i+1].text != "" {
			order = 1
		}
	}

	return order, true
}

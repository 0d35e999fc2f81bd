package text

import "strings"

// Natural orders names as people do: "u9" before "u10".
func Natural(a, b string) int {
	for a != "" && b != "" {
		x, restA := chunk(a)
		y, restB := chunk(b)

		if isDigit(x[0]) && isDigit(y[0]) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")

			if len(x) != len(y) {
				return len(x) - len(y)
			}
		}

		if c := strings.Compare(x, y); c != 0 {
			return c
		}

		a, b = restA, restB
	}

	return len(a) - len(b)
}

// chunk cuts the leading run of digits or of other bytes off s.
func chunk(s string) (head, rest string) {
	i := 1
	for i < len(s) && isDigit(s[i]) == isDigit(s[0]) {
		i++
	}

	return s[:i], s[i:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

package coldplug

import "strings"

// Match reports whether a module alias pattern (fnmatch(3) without flags: *, ?,
// [a-z], [!a-z]) matches a modalias. Unlike path.Match a star also covers slashes,
// which DMI strings contain. A malformed pattern matches nothing.
func Match(pattern, s string) bool {
	star, mark := -1, 0 // where to start again: after the last star, one byte further

	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++

			continue
		}

		if width := matchOne(pattern[p:], s[i]); width > 0 {
			p, i = p+width, i+1

			continue
		}

		if star < 0 {
			return false
		}

		mark++
		p, i = star+1, mark
	}

	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne returns how many bytes of pattern stand for the byte c; 0 when they do
// not.
func matchOne(pattern string, c byte) (width int) {
	switch {
	case pattern == "":
		return 0
	case pattern[0] == '?':
		return 1
	case pattern[0] == '[':
		return matchClass(pattern, c)
	case pattern[0] == c:
		return 1
	default:
		return 0
	}
}

func matchClass(pattern string, c byte) (width int) {
	end := strings.IndexByte(pattern[1:], ']')
	if end < 1 {
		return 0
	}

	class := pattern[1 : 1+end]

	negated := class[0] == '!' || class[0] == '^'
	if negated {
		class = class[1:]
	}

	in := false

	for i := 0; i < len(class); i++ {
		low, high := class[i], class[i]
		if i+2 < len(class) && class[i+1] == '-' {
			high = class[i+2]
			i += 2
		}

		in = in || low <= c && c <= high
	}

	if in == negated {
		return 0
	}

	return end + 2
}

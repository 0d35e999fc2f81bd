package screen

import "strings"

// letters are five rows high.
func letters() map[rune][5]string {
	return map[rune][5]string{
		'A': {" ### ", "#   #", "#####", "#   #", "#   #"},
		'C': {" ####", "#    ", "#    ", "#    ", " ####"},
		'D': {"#### ", "#   #", "#   #", "#   #", "#### "},
		'E': {"#####", "#    ", "###  ", "#    ", "#####"},
		'F': {"#####", "#    ", "###  ", "#    ", "#    "},
		'H': {"#   #", "#   #", "#####", "#   #", "#   #"},
		'I': {"###", " # ", " # ", " # ", "###"},
		'L': {"#    ", "#    ", "#    ", "#    ", "#####"},
		'N': {"#   #", "##  #", "# # #", "#  ##", "#   #"},
		'O': {" ### ", "#   #", "#   #", "#   #", " ### "},
		'P': {"#### ", "#   #", "#### ", "#    ", "#    "},
		'R': {"#### ", "#   #", "#### ", "#  # ", "#   #"},
		'S': {" ####", "#    ", " ### ", "    #", "#### "},
	}
}

// Banner writes a word in letters of five lines. What has none is left out.
func Banner(word string) string {
	var out strings.Builder

	for _, row := range enlarge(word, 1, []int{2}) { // twice as high as wide, as cells on screens are
		out.WriteString("  " + row + "\n")
	}

	return out.String()
}

// Big writes a word in letters of ten lines, as wide as they fit into so many columns.
func Big(word string, columns int) []string {
	const high = 2

	rows := enlarge(word, high, []int{1})

	for _, wide := range [][]int{{2, 1, 2, 1, 2}, {2}, {3}, {4}} {
		wider := enlarge(word, high, wide)
		if longest(wider) > columns {
			break
		}

		rows = wider
	}

	if longest(rows) > columns {
		return []string{Clean(word)}
	}

	return rows
}

// enlarge draws a word with dots that are high lines and, one after the other within a
// letter, wide columns; between letters it is as narrow as the first dot.
func enlarge(word string, high int, wide []int) []string {
	var rows [5]strings.Builder

	all := letters()

	for n, r := range []rune(strings.ToUpper(word)) {
		for i, row := range all[r] {
			if n > 0 {
				rows[i].WriteString(strings.Repeat(" ", wide[0]))
			}

			for at, dot := range row {
				rows[i].WriteString(strings.Repeat(string(dot), wide[at%len(wide)]))
			}
		}
	}

	var out []string

	for i := range rows {
		for range high {
			out = append(out, strings.TrimRight(rows[i].String(), " "))
		}
	}

	return out
}

func longest(rows []string) (columns int) {
	for _, row := range rows {
		columns = max(columns, len(row))
	}

	return columns
}

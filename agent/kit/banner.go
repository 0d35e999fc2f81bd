package kit

import "strings"

// letters are five rows high.
func letters() map[rune][5]string {
	return map[rune][5]string{
		'A': {" ### ", "#   #", "#####", "#   #", "#   #"},
		'C': {" ####", "#    ", "#    ", "#    ", " ####"},
		'D': {"#### ", "#   #", "#   #", "#   #", "#### "},
		'E': {"#####", "#    ", "###  ", "#    ", "#####"},
		'F': {"#####", "#    ", "###  ", "#    ", "#    "},
		'I': {"###", " # ", " # ", " # ", "###"},
		'L': {"#    ", "#    ", "#    ", "#    ", "#####"},
		'N': {"#   #", "##  #", "# # #", "#  ##", "#   #"},
		'O': {" ### ", "#   #", "#   #", "#   #", " ### "},
		'P': {"#### ", "#   #", "#### ", "#    ", "#    "},
		'R': {"#### ", "#   #", "#### ", "#  # ", "#   #"},
		'S': {" ####", "#    ", " ### ", "    #", "#### "},
	}
}

// Banner writes a word in big letters. What has none is left out.
func Banner(word string) string {
	var rows [5]strings.Builder

	all := letters()

	for _, r := range strings.ToUpper(word) {
		for i, row := range all[r] {
			rows[i].WriteString("  ")
			rows[i].WriteString(strings.NewReplacer("#", "##", " ", "  ").Replace(row)) // twice as high as wide, as on screens
		}
	}

	var out strings.Builder

	for i := range rows {
		out.WriteString(strings.TrimRight(rows[i].String(), " ") + "\n")
	}

	return out.String()
}

package config

import "strings"

// Nearest returns the name that s was probably meant to be, "" if there is none. At most a third of its letters are
// wrong, missing, too many or swapped, or it is the only name that begins with s or with which s begins.
func Nearest(s string, names []string) string {
	best, least := "", 0
	written := plain(s)
	for _, name := range names {
		most := max(1, len(name)/3)
		if d := distance(written, plain(name)); d <= most && (best == "" || d < least) {
			best, least = name, d
		}
	}
	if best != "" || len(written) < 3 {
		return best
	}
	for _, name := range names {
		if !strings.HasPrefix(written, plain(name)) && !strings.HasPrefix(plain(name), written) {
			continue
		}
		if best != "" {
			return ""
		}
		best = name
	}
	return best
}

// didYouMean is the end of a message about something unknown; before is put in front of the name.
func didYouMean(s, before string, names []string) string {
	if name := Nearest(s, names); name != "" {
		return "; did you mean " + before + name + "?"
	}
	return ""
}

// plain maps different spellings of a name to one.
func plain(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "-") }

// distance returns how many bytes must be changed, added, removed or swapped with their neighbour to get b from a.
// Names are short; a long text is far from all.
func distance(a, b string) int {
	const long = 64
	if len(a) > long || len(b) > long {
		return long
	}
	var rows [3][long + 1]int // for two letters before, the last one, and this one
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := range len(a) {
		before, last, row := &rows[i%3], &rows[(i+1)%3], &rows[(i+2)%3]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}

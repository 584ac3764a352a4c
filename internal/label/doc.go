// Package label has the rules for what people call themselves and their rooms: which characters may be in a name or
// an id, how a name is shown, which two are the same, and which only look so.
//
//	shown, ok := label.Clean("  Zoe\u0301 ")       // "Zoé"
//	label.Key("ZOÉ") == label.Key("Ｚoé")           // the same name
//	label.Looks("System"), label.Looks("ЅУЅТЕМ")   // have one in common: the second is Cyrillic
//
// # What may be in a label
//
// Characters that can be seen, in any script, and spaces between them. Characters that are seen in their effect alone
// may stand where they have one: joiners in scripts that need them (RFC 5892 appendix A.1 and A.2, and where people
// write them beyond that), variation selectors, and what holds an emoji sequence together (UTS #51). Everywhere else
// they are refused, and so are control characters, those that turn the direction of writing, private and unassigned
// code points, and what looks like nothing at all.
//
// # The same, and alike
//
// Two labels are the same, by Key, if they differ in case, width, spaces and what cannot be seen alone. They are
// alike, by Looks, if people cannot tell them apart on a screen, whatever letters they are made of (UTS #39).
//
// Everything here is a function of its arguments: any goroutine.
package label

package main

import "bufio"

// sendbirdAnswer is a page of Sendbird's list of blocked users. Where the next one
// begins is the business of whoever fetched them.
type sendbirdAnswer struct {
	Users *[]struct {
		UserID string `json:"user_id"`
	} `json:"users"`
}

// convertSendbird reads the pages of one user's list, one behind the other.
func convertSendbird(in *bufio.Reader, out *lineWriter) error {
	return eachAnswer(in, func(a *sendbirdAnswer) error {
		if a.Users == nil {
			return errNoList
		}
		for _, user := range *a.Users {
			if err := out.target(user.UserID); err != nil {
				return err
			}
		}
		return nil
	})
}

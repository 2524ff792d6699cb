package main

import (
	"bufio"
	"fmt"
)

// rongCloudAnswer is what RongCloud answers to /user/blocklist/query.json.
type rongCloudAnswer struct {
	Code  int       `json:"code"`
	Users *[]string `json:"users"`
}

// convertRongCloud reads answers to a query of one user's list.
func convertRongCloud(in *bufio.Reader, out *lineWriter) error {
	return eachAnswer(in, func(a *rongCloudAnswer) error {
		if a.Code != 200 {
			return fmt.Errorf("its code is %d, not 200", a.Code)
		}
		if a.Users == nil {
			return errNoList
		}
		for _, user := range *a.Users {
			if err := out.target(user); err != nil {
				return err
			}
		}
		return nil
	})
}

"""What any archive is asked and answers, whichever language it speaks."""

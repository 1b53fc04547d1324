"""The recurrent ensemble that predicts the robot's next state, and how it is trained."""
